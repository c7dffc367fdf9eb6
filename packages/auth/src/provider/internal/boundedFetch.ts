import type { CustomFetch } from "openid-client"

/** Metadata, keys and tokens are some kilobytes; a provider that sends more is not one. */
const maxBodyBytes = 1024 * 1024

/** `fetch` for `openid-client`: no redirects followed, and bodies of a bounded size. */
export const boundedFetch: CustomFetch = async (url, options) => {
  // Their types differ in what a body may be alone; what we send are strings and forms.
  const response = await fetch(url, options as RequestInit)
  if (response.body === null) return response
  const chunks: Array<Uint8Array> = []
  let size = 0
  for await (const chunk of response.body) {
    size += chunk.byteLength
    if (size > maxBodyBytes) throw new TypeError(`a body of more than ${maxBodyBytes} bytes`)
    chunks.push(chunk)
  }
  const { headers, status, statusText } = response
  // 204 and its like cannot be given a body, not even an empty one.
  return new Response(size === 0 ? null : Buffer.concat(chunks), { headers, status, statusText })
}
