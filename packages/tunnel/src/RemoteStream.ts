import { type IncomingMessage, request as httpRequest } from "node:http"
import { Socket } from "node:net"
import { Effect, Redacted } from "effect"
import type { EdgeId } from "@edge-relay/domain/Edges"
import { isFinished } from "./Splice.ts"
import {
  cancelPath,
  decodeRefusal,
  PROTOCOL_HEADER,
  protocolOf,
  STREAM_HEADER,
  STREAM_PROTOCOL,
  streamPath
} from "./StreamUpgrade.ts"
import { DialError, type EdgeStream, ProxyUnavailable } from "./DialError.ts"

export interface RemoteStreamOptions {
  readonly proxyUrl: string
  readonly internalKey: Redacted.Redacted<string>
  /** Until the proxy answers: longer than it waits for the edge. */
  readonly timeoutMillis: number
  /** The trace that the proxy's part of it belongs to. */
  readonly traceparent?: string | undefined
}

/** Asks a proxy for a stream, and gives the raw socket whose other end the proxy has spliced to it. */
export const openRemote = (
  edgeId: EdgeId,
  service: string,
  { proxyUrl, internalKey, timeoutMillis, traceparent }: RemoteStreamOptions
): Effect.Effect<EdgeStream, DialError> =>
  Effect.callback((resume) => {
    const fail = (reason: DialError["reason"]) => resume(Effect.fail(new DialError({ reason })))
    const unavailable = (cause: unknown) => fail(new ProxyUnavailable({ proxyUrl, cause }))
    const target = {
      ...addressOf(proxyUrl),
      headers: { Authorization: `Bearer ${Redacted.value(internalKey)}` }
    }
    const request = httpRequest({
      ...target,
      path: streamPath(edgeId, service),
      headers: {
        ...target.headers,
        Connection: "Upgrade",
        Upgrade: STREAM_PROTOCOL,
        ...(traceparent === undefined ? {} : { traceparent })
      },
      createConnection: () => new StreamSocket({ allowHalfOpen: true }).connect(addressOf(proxyUrl))
    })
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${timeoutMillis} ms`)),
      timeoutMillis
    )
    request.on("close", () => clearTimeout(timer))
    request.on("error", unavailable)
    request.on("upgrade", ({ headers }: IncomingMessage, socket: StreamSocket, head: Buffer) => {
      clearTimeout(timer)
      socket.setNoDelay(true)
      socket.on("error", () => undefined)
      if (head.length > 0) socket.unshift(head)
      const path = cancelPath(String(headers[STREAM_HEADER]))
      socket.cancel = () => {
        // Best effort: where the proxy cannot be asked, it is gone, and the stream with it.
        httpRequest({ ...target, path, method: "DELETE" })
          .on("error", () => undefined)
          .on("response", (response) => response.resume())
          .end()
      }
      resume(Effect.succeed({ stream: socket, protocol: protocolOf(headers[PROTOCOL_HEADER]) }))
    })
    request.on("response", (response) => {
      readBody(response).then((body) => {
        const reason = decodeRefusal(edgeId, service, body)
        if (reason !== undefined) fail(reason)
        else unavailable(new Error(`status ${response.statusCode} in place of 101`))
      }, unavailable)
    })
    request.end()
    return Effect.sync(() => request.destroy())
  })

const addressOf = (proxyUrl: string) => {
  const { hostname, port } = new URL(proxyUrl)
  // A literal IPv6 address stands in brackets in a URL, and without them everywhere else.
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || "80") }
}

/**
 * A TCP socket that tells a close from an end: destroyed before both directions have ended it sends RST. FIN
 * alone would say that we have finished speaking and still listen, so that the edge would work on for nobody.
 */
class StreamSocket extends Socket {
  /** Tells the proxy on another way: it does not see RST while it reads nothing, because the edge is slow. */
  cancel: () => void = () => undefined

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!isFinished(this)) {
      if (this.bytesWritten >= LEAST_UNREAD) this.cancel()
      this.resetAndDestroy()
    }
    super._destroy(error, callback)
  }
}

/** Of less than that a proxy reads everything: it is what a new stream's window takes. */
const LEAST_UNREAD = 256 * 1024

/** Of a refusal; more than this is not one. */
const MAX_BODY = 64 * 1024

const readBody = async (response: IncomingMessage): Promise<string> => {
  let body = ""
  for await (const chunk of response.setEncoding("utf8")) {
    body += chunk
    if (body.length > MAX_BODY) throw new Error(`more than ${MAX_BODY} bytes in place of 101`)
  }
  return body
}
