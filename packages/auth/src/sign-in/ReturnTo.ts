/** Where to go after signing in, longer than any page of ours. */
const maxLength = 2048

/** The console's own pages have printable ASCII; anything else comes percent-encoded. */
const printable = /^[\x21-\x7e]+$/

/**
 * A path on our own origin, or `/`: what an attacker could put into a link must not lead elsewhere after signing
 * in (RFC 9700 §4.11, open redirection). `//` and `/\` begin a host in browsers; tabs and line ends are dropped
 * by URL parsers, and so could hide one.
 */
export const safeReturnTo = (returnTo: string | undefined, publicUrl: URL): string => {
  if (returnTo === undefined || returnTo.length > maxLength || !printable.test(returnTo)) return "/"
  if (!returnTo.startsWith("/") || returnTo.startsWith("//") || returnTo.includes("\\")) return "/"
  const url = URL.parse(returnTo, publicUrl)
  if (url === null || url.origin !== publicUrl.origin) return "/"
  const path = url.pathname + url.search + url.hash
  // "/.//host" is a path before it is resolved and a host after that.
  return path.startsWith("//") ? "/" : path
}

/** Where a sign-in begins that is to lead there. */
export const loginPath = (returnTo: string): string =>
  `/api/auth/login?${new URLSearchParams({ returnTo }).toString()}`
