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

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]|0\.0\.0\.0)$/

/**
 * Headers whose `Location` names the edge's local server, as the server knows itself, at the host where the browser
 * knows it. All other locations stay as they are.
 */
export const atHost = (headers: Array<string>, publicOrigin: string): Array<string> => {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? ""
    if (name.length === 8 && name.toLowerCase() === "location") {
      headers[index + 1] = location(headers[index + 1] ?? "", publicOrigin)
    }
  }
  return headers
}

const location = (value: string, publicOrigin: string): string => {
  if (!/^https?:\/\//i.test(value)) return value
  const to = URL.parse(value)
  if (to === null || !loopback.test(to.hostname)) return value
  return publicOrigin + to.pathname + to.search + to.hash
}
