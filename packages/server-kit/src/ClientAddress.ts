import { BlockList, isIP } from "node:net"

/** Of `node:http` or of Effect. */
type RequestHeaders = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** Proxies that a request may have passed; more than that is somebody filling the header. */
const maxHops = 20

/**
 * The address that a request came from. `X-Forwarded-For` counts only as far as the proxies that wrote it are
 * trusted: it is read from the right, and the first address that is not a trusted proxy's is the client's.
 *
 * `trusted` are addresses or CIDR ranges ("10.0.0.0/8"); none means the socket's own.
 */
export const clientAddress = (
  trusted: ReadonlyArray<string>
): ((peer: string | undefined, headers: RequestHeaders) => string) => {
  const list = new BlockList()
  for (const entry of trusted) {
    const [address = "", prefix] = entry.split("/")
    const family = isIP(address) === 6 ? "ipv6" : "ipv4"
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  const isTrusted = (address: string) => list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")

  return (peer, headers) => {
    let address = socketAddress(peer)
    if (trusted.length === 0) return address
    const forwarded = headers["x-forwarded-for"]
    const hops = (typeof forwarded === "string" ? forwarded : (forwarded ?? []).join(",")).split(",")
    for (const hop of hops.slice(-maxHops).reverse()) {
      if (isIP(address) === 0 || !isTrusted(address)) break
      const next = plain(hop.trim())
      if (isIP(next) === 0) break
      address = next
    }
    return address
  }
}

/** Of a socket's other side, if it is still there. */
export const socketAddress = (peer: string | undefined): string => plain(peer ?? "unknown")

/** `::ffff:127.0.0.1` is 127.0.0.1, as a dual-stack socket says it. */
const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, "")
