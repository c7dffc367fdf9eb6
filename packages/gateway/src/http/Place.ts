/**
 * Where a browser finds an edge, which decides what the edge may say and hear there: under a path of our own origin,
 * beside everybody's session, or on a host of its own, where it is alone.
 */
export type Place = "our-origin" | "edge-host"

/** Cookies of ours on edges' hosts begin with it, behind `__Host-` where browsers come over https. */
export const ownCookiePrefix = "edge-relay-"

/** Whether a cookie on an edge's host is ours: it never reaches the edge, and no edge may set it. */
export const isOwnCookie = (name: string): boolean => {
  const bare = /^__(?:Host|Secure)-/i.test(name) ? name.slice(name.indexOf("-") + 1) : name
  return bare.toLowerCase().startsWith(ownCookiePrefix)
}
