import { splice } from "@edge-relay/tunnel/Splice"
import { type IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Switched } from "./Forwarding.ts"
import type { ResponseHead } from "../http/ResponseHead.ts"

/**
 * A browser's connection that asks for another protocol (WebSocket or any other). Until the edge has agreed, what
 * the browser sends behind its request is held back: an edge that did not agree would read it as a request.
 */
export class UpgradedConnection {
  /** For every answer but 101; the connection ends with it. */
  readonly response: ServerResponse
  readonly #socket: Duplex
  #early: Array<Buffer>
  #earlyBytes: number

  constructor(request: IncomingMessage, socket: Duplex, head: Buffer) {
    this.#socket = socket
    this.#early = head.length > 0 ? [head] : []
    this.#earlyBytes = head.length
    this.response = new ServerResponse(request)
    this.response.shouldKeepAlive = false
    // Node gives a `net.Socket`, or a TLS one, which is one too.
    // It throws where an answer to an earlier request is still on its way: an upgrade is not for a pipeline.
    try {
      if (socket instanceof Socket) this.response.assignSocket(socket)
    } catch {
      // Destroyed, so that nothing is forwarded: it would have no socket to be switched to.
      this.response.on("error", ignore)
      this.response.destroy()
      socket.destroy()
    }
    this.response.once("finish", () => socket.end())
    socket.on("error", ignore)
    // Only a socket that is read from tells that its browser has gone.
    socket.on("data", this.#onEarly)
    socket.once("end", this.#onEarlyEnd)
  }

  readonly #onEarly = (chunk: Buffer): void => {
    this.#early.push(chunk)
    this.#earlyBytes += chunk.length
    if (this.#earlyBytes > maxEarlyBytes) this.#socket.pause()
  }

  readonly #onEarlyEnd = (): void => {
    this.#socket.destroy()
  }

  /** Gives the connection away, paused, and what came on it behind the request. */
  take(): { readonly socket: Duplex; readonly early: Buffer } {
    const socket = this.#socket
    socket.off("data", this.#onEarly)
    socket.off("end", this.#onEarlyEnd)
    socket.pause()
    if (socket instanceof Socket) this.response.detachSocket(socket)
    const early = Buffer.concat(this.#early)
    this.#early = []
    return { socket, early }
  }

  /** The edge has agreed: from here on it is a byte pipe until either side closes it. */
  readonly switch = (
    exchange: Switched,
    head: ResponseHead,
    stream: Duplex,
    behind: Buffer | undefined
  ): void => {
    const { early, socket } = this.take()
    const text = answer(head, exchange.forwarding.requestId)
    if (socket instanceof Socket) {
      // Of the request's head and of what was held back, nothing has been carried yet.
      const readBefore = socket.bytesRead - early.length
      const writtenBefore = socket.bytesWritten + text.length
      exchange.count = () => {
        exchange.bytesOut = Math.max(0, socket.bytesRead - readBefore)
        exchange.bytesIn = Math.max(0, socket.bytesWritten - writtenBefore)
      }
    }
    socket.once("close", () => {
      exchange.count()
      exchange.closed()
    })
    socket.write(Buffer.from(text, "latin1"))
    if (behind !== undefined) socket.write(behind)
    if (early.length > 0) stream.write(early)
    splice(socket, stream)
  }
}

const maxEarlyBytes = 64 * 1024

const ignore = (): void => undefined

const answer = ({ message, headers, upgrade }: ResponseHead, requestId: string): string => {
  let text = `HTTP/1.1 101 ${message}\r\nConnection: Upgrade\r\n`
  if (upgrade !== undefined) text += `Upgrade: ${upgrade}\r\n`
  for (let index = 0; index < headers.length; index += 2)
    text += `${headers[index]}: ${headers[index + 1]}\r\n`
  return `${text}X-Request-Id: ${requestId}\r\n\r\n`
}
