import type { IncomingMessage } from "node:http"

/** How long a browser that is still sending has to read an answer that came early, before it is cut off. */
const lingerMillis = 1000

/**
 * Reads on what a browser sends though its request has been answered, for a moment: closing at once would reset
 * the connection, and the answer with it. A body that ends in time leaves the connection good for the next request.
 */
export const discardBody = (request: IncomingMessage): void => {
  request.resume()
  if (request.complete) return
  const timer = setTimeout(() => {
    if (!request.complete) request.socket.destroy()
  }, lingerMillis)
  request.once("close", () => clearTimeout(timer))
}
