import { isSafeMethod } from "@edge-relay/domain/api/SafeMethod"

/** As Node gives them: lower-case names. */
export type RequestHeaders = { readonly [name: string]: string | ReadonlyArray<string> | undefined }

/**
 * Whether a request that changes something was sent by a page that is not ours (CSRF). Browsers say so in
 * `Sec-Fetch-Site`; older ones send `Origin` at least. Neither header: not a browser, and hence no victim's
 * cookie. `SameSite=Lax` alone would let a subdomain's page through.
 */
export const isCrossSite = (method: string, headers: RequestHeaders, publicUrl: URL): boolean => {
  if (isSafeMethod(method)) return false
  const site = headers["sec-fetch-site"]
  if (site !== undefined) return site !== "same-origin" && site !== "none"
  return isForeignOrigin(headers, publicUrl)
}

/** For WebSocket upgrades, which no CORS guards: whether an `Origin` is there, and is not ours. */
export const isForeignOrigin = (headers: RequestHeaders, publicUrl: URL): boolean => {
  const origin = headers["origin"]
  return origin !== undefined && origin !== publicUrl.origin
}
