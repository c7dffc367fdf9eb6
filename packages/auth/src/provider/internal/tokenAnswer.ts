import type { CustomFetch, TokenEndpointResponse } from "openid-client"

/**
 * Where the ID token of a token endpoint's answer is kept from `openid-client`, which would judge it first: by a clock
 * tolerance of its own, and at a refresh in a way that loses the tokens beside it. Ours is the only judgement.
 */
const aside = "edge_relay_id_token"

/** Takes members that are null for absent: some providers send them, and RFC 6749 §5.1 has no null. */
export const plainTokenAnswers =
  (fetch: CustomFetch): CustomFetch =>
  async (url, options) => {
    const response = await fetch(url, options)
    const isGrant = options.body instanceof URLSearchParams && options.body.has("grant_type")
    if (!isGrant || response.status !== 200) return response
    const json: unknown = await response
      .clone()
      .json()
      // `openid-client` says what is wrong with it.
      .catch(() => undefined)
    if (typeof json !== "object" || json === null || Array.isArray(json)) return response
    const members = Object.entries(json).filter(([name, value]) => value !== null && name !== aside)
    const plain = members.map(([name, value]) => [name === "id_token" ? aside : name, value])
    return new Response(JSON.stringify(Object.fromEntries(plain)), {
      status: 200,
      headers: response.headers
    })
  }

/** The ID token of an answer, not checked yet; undefined where there is none. */
export const idTokenOf = (answer: TokenEndpointResponse): string | undefined => {
  const token = answer[aside]
  // What is no text is no token, and fails as one.
  return token === undefined ? undefined : typeof token === "string" ? token : ""
}
