import { Context, Effect, Layer } from "effect"
import { BlockList, isIP } from "node:net"

/** Of `node:http` or of Effect. */
type RequestHeaders = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** Where load balancers write whom they had a request from. */
export type ForwardedHeader = "x-forwarded-for" | "forwarded"

export interface ClientAddressOptions {
  /** Addresses or CIDR ranges ("10.0.0.0/8"); none means the socket's own address. */
  readonly trusted: ReadonlyArray<string>
  /** The one header that counts: another one is the client's own. */
  readonly header: ForwardedHeader
}

/** Proxies that a request may have passed; more than that is somebody filling the header. */
const maxHops = 20

/** No header is longer that a proxy of ours has written; the rest is told cut off. */
const toldLength = 100

/**
 * The address that a request came from. The header counts only as far as the proxies that wrote it are trusted: it is
 * read from the right, and the first address that is not a trusted proxy's is the client's. What cannot be read ends
 * the reading there, and is told in the log once: everybody behind that proxy then shares its limits.
 */
export class ClientAddress extends Context.Service<
  ClientAddress,
  { readonly of: (peer: string | undefined, headers: RequestHeaders) => string }
>()("@edge-relay/server-kit/ClientAddress") {
  static readonly layer = (options: ClientAddressOptions) =>
    Layer.effect(
      ClientAddress,
      Effect.gen(function* () {
        const log = Effect.runForkWith(yield* Effect.context<never>())
        let told = false
        return ClientAddress.of({
          of: clientAddress(options, (hop, proxy) => {
            if (told) return
            told = true
            const text = `${options.header} of a trusted proxy has no address: its clients count as one`
            log(Effect.logWarning(text).pipe(Effect.annotateLogs({ proxy, hop: hop.slice(0, toldLength) })))
          })
        })
      })
    )
}

/** `unreadable` is called with what stands where an address should be, and the proxy that wrote it. */
export const clientAddress = (
  { header, trusted }: ClientAddressOptions,
  unreadable: (hop: string, proxy: string) => void
): ClientAddress["Service"]["of"] => {
  const list = new BlockList()
  for (const entry of trusted) {
    const [address = "", prefix] = entry.split("/")
    const family = isIP(address) === 6 ? "ipv6" : "ipv4"
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  const isTrusted = (address: string) => list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")
  const nodeOf = header === "forwarded" ? forNode : (hop: string) => hop

  return (peer, headers) => {
    let address = socketAddress(peer)
    const value = trusted.length === 0 ? undefined : headers[header]
    if (value === undefined) return address
    const hops = splitUnquoted(typeof value === "string" ? value : value.join(","), ",")
    for (const hop of hops.slice(-maxHops).reverse()) {
      if (isIP(address) === 0 || !isTrusted(address)) break
      const next = addressOfNode(nodeOf(hop.trim()))
      if (next === undefined) {
        unreadable(hop.trim(), address)
        break
      }
      address = next
    }
    return address
  }
}

/** Of a socket's other side, if it is still there. */
export const socketAddress = (peer: string | undefined): string => plain(peer ?? "unknown")

/** `::ffff:127.0.0.1` is 127.0.0.1, as a dual-stack socket says it. */
const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, "")

/** RFC 7239 §4: the `for` of one element, `for=192.0.2.43;proto=https`. */
const forNode = (element: string): string => {
  for (const pair of splitUnquoted(element, ";")) {
    const [, node] = /^\s*for=(.*)$/i.exec(pair) ?? []
    if (node !== undefined) return node.trim()
  }
  return ""
}

/**
 * An address as proxies write it: `192.0.2.43`, with a port (`192.0.2.43:4711`, as Azure's gateways do), IPv6 with or
 * without brackets, port and zone, in quotes (RFC 7239 §6). Undefined for anything else, such as `unknown` and `_id`.
 */
const addressOfNode = (node: string): string | undefined => {
  const bare = node.replace(/^"(.*)"$/, "$1")
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\]|(\d+\.\d+\.\d+\.\d+))(?::\d{1,5})?$/.exec(bare) ?? []
  const address = plain((bracketed ?? dotted ?? bare).replace(/%.*$/, ""))
  return isIP(address) === 0 ? undefined : address
}

/** Splits where the separator stands outside of quotes. */
const splitUnquoted = (text: string, separator: "," | ";"): ReadonlyArray<string> => {
  if (!text.includes('"')) return text.split(separator)
  const parts: Array<string> = []
  let start = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (isQuoted && character === "\\") at++
    else if (character === '"') isQuoted = !isQuoted
    else if (character === separator && !isQuoted) {
      parts.push(text.slice(start, at))
      start = at + 1
    }
  }
  return [...parts, text.slice(start)]
}
