import type { IncomingMessage } from "node:http"
import { type BlockList, isIP } from "node:net"

/**
 * The address that a request came from. `X-Forwarded-For` counts as far as the proxies that wrote it are trusted:
 * it is read from the right, and the first address that is not a trusted proxy's is the client's.
 */
export const clientAddress =
  (trusted: BlockList | undefined) =>
  ({ headers, socket }: IncomingMessage): string => {
    let address = plain(socket.remoteAddress ?? "unknown")
    if (trusted === undefined) return address
    const hops = [headers["x-forwarded-for"] ?? []].flat().join(",").split(",").slice(-MAX_HOPS)
    for (const hop of hops.reverse()) {
      const next = plain(hop.trim())
      if (isIP(next) === 0 || !trusted.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")) break
      address = next
    }
    return address
  }

/** More than that is somebody filling the header. */
const MAX_HOPS = 20

/** `::ffff:127.0.0.1` is 127.0.0.1, as a dual-stack socket says it. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, "")
