import { Result } from "effect"
import { isIP } from "node:net"

/** `EDGE_DOMAIN`: the domain under which each edge has a host of its own. */

const pattern =
  /^(?=.{1,200}$)(?:[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?\.)*[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?(?::\d{1,5})?$/

export const parse = (value: string): Result.Result<string, string> => {
  const domain = value.toLowerCase()
  return pattern.test(domain) && isIP(hostnameOf(domain)) === 0
    ? Result.succeed(domain)
    : Result.fail("must be a domain, with a port where browsers need one: no scheme, no path, no address")
}

/** On a developer's machine: browsers resolve every name under `localhost` to loopback (RFC 6761 §6.3). */
export const onLoopback = ({ hostname, port }: URL): string | undefined =>
  hostname === "localhost" ? `edges.localhost${port === "" ? "" : `:${port}`}` : undefined

/**
 * Why edges' pages under `edgeDomain` could set cookies for our own origin, or would be it; undefined where they
 * cannot. A browser takes a cookie for every parent domain but a public suffix, and one label is one (RFC 6265bis
 * §5.7, publicsuffix.org's default rule).
 */
export const conflict = (edgeDomain: string, { hostname }: URL): string | undefined => {
  const domain = hostnameOf(edgeDomain)
  if (domain === hostname) return `must not be PUBLIC_URL's own host, ${hostname}`
  if (hostname.endsWith(`.${domain}`)) {
    return `must not be a parent of PUBLIC_URL's host ${hostname}: edges could set cookies for it`
  }
  if (domain.endsWith(`.${hostname}`) && hostname.includes(".")) {
    return `must not lie inside PUBLIC_URL's host ${hostname}: edges could set cookies for it`
  }
  return undefined
}

const hostnameOf = (domain: string): string => domain.replace(/:\d+$/, "")
