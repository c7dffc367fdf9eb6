import { isOwnCookie } from "./Place.ts"

/** Headers that an edge may send on its own host, without what would reach beyond that host. */

/**
 * A `Set-Cookie` value for this host alone: without `Domain` (RFC 6265bis §5.5), so that no other edge gets it.
 * Undefined where the cookie is one of ours.
 */
export const setCookie = (value: string): string | undefined => {
  const [pair = "", ...attributes] = value.split(";")
  // A cookie without a name can pass for another one by its value (RFC 6265bis §5.7).
  const equals = pair.indexOf("=")
  const name = (equals === -1 ? "" : pair.slice(0, equals)).trim()
  if (isOwnCookie(name) || (name === "" && isOwnCookie(pair.slice(equals + 1).trim()))) return undefined
  const kept = attributes.filter((attribute) => !/^\s*domain\s*(?:=|$)/i.test(attribute))
  return [pair, ...kept].join(";")
}

/** HSTS (RFC 6797 §6.1) without the directives that speak for other hosts. */
export const strictTransportSecurity = (value: string): string =>
  value
    .split(";")
    .map((directive) => directive.trim())
    .filter((directive) => directive !== "" && !/^(?:includesubdomains|preload)\b/i.test(directive))
    .join("; ")

/**
 * `Clear-Site-Data` without `"cookies"` and `"*"`: browsers take those for the whole registered domain, so that one
 * edge would sign people out of all others.
 */
export const clearSiteData = (value: string): string => {
  const types = value.split(",").map((type) => type.trim())
  const own = types.includes('"*"') ? ['"cache"', '"storage"', '"executionContexts"'] : types
  return own.filter((type) => type !== '"cookies"').join(", ")
}

/** Headers of an answer that name the server's address. */
const naming = new Set(["location", "content-location", "access-control-allow-origin"])

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]|0\.0\.0\.0)$/

/**
 * Headers that name the edge's local server, as the server or its agent knows it (`localOrigin`), at the host where
 * the browser knows it. All other addresses stay as they are.
 */
export const atHost = (
  headers: Array<string>,
  publicOrigin: string,
  localOrigin: string | undefined
): Array<string> => {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? ""
    if (!maybeNaming.test(name) || !naming.has(name.toLowerCase())) continue
    headers[index + 1] = publicAddress(headers[index + 1] ?? "", publicOrigin, localOrigin)
  }
  return headers
}

/** By its first letter and its last: most headers are none of them. */
const maybeNaming = /^[acl].*n$/i

const publicAddress = (value: string, publicOrigin: string, localOrigin: string | undefined): string => {
  if (!/^https?:\/\//i.test(value)) return value
  const to = URL.parse(value)
  if (to === null || (!loopback.test(to.hostname) && to.origin !== localOrigin)) return value
  if (value === to.origin) return publicOrigin
  return publicOrigin + to.pathname + to.search + to.hash
}
