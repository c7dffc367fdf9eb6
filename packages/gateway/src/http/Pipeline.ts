import type { IncomingMessage, ServerResponse } from "node:http"
import type { Socket } from "node:net"

/**
 * Requests that come on one connection before those ahead of them are answered take their turns: only safe methods
 * could be worked on side by side (RFC 9112 §9.3.2). And Node reads no more from a connection for which many bytes
 * wait, so that it would not be seen when its browser goes away.
 */

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** More than any client sends ahead; each costs some kilobytes. */
const maxQueued = 100

export const inTurn = (request: IncomingMessage, response: ServerResponse, answer: Answer): void => {
  // Node gives an answer its connection when those ahead have gone out.
  if (response.socket !== null) answer(request, response)
  else queue(request, response, answer)
}

const queued = new WeakMap<Socket, number>()

const queue = (request: IncomingMessage, response: ServerResponse, answer: Answer): void => {
  const { socket } = request
  const ahead = queued.get(socket) ?? 0
  if (ahead >= maxQueued) return void socket.destroy()
  queued.set(socket, ahead + 1)
  response.once("socket", () => {
    queued.set(socket, (queued.get(socket) ?? 1) - 1)
    answer(request, response)
  })
}
