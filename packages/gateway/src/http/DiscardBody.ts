import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"

/** How long a browser that is still sending has to read an answer that came early, before it is cut off. */
const lingerMillis = 1000

/**
 * Reads on what a browser sends though its request has been answered, for a moment: closing at once would reset
 * the connection, and the answer with it. A body that ends in time leaves the connection good for the next request.
 */
export const discardBody = (request: IncomingMessage): void => {
  request.resume()
  if (request.complete) return
  const { socket } = request
  discarding.add(socket)
  const timer = setTimeout(() => {
    if (!request.complete) socket.destroy()
  }, lingerMillis)
  request.once("close", () => {
    clearTimeout(timer)
    discarding.delete(socket)
  })
}

const discarding = new WeakSet<Duplex>()

/** Whether what arrives on a connection belongs to a request that has been answered. */
export const isDiscarding = (socket: Duplex): boolean => discarding.has(socket)
