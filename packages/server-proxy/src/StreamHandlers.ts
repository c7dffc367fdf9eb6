import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Cause, Effect, FiberSet, Option } from "effect"
import type { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as Problem from "@edge-relay/domain/api/Problem"
import type { DialError, EdgeDialReason, EdgeStream } from "@edge-relay/domain/tunnels/DialError"
import { InternalApi, STREAM_PROTOCOL } from "@edge-relay/protocol/InternalApi"
import {
  decodeDial,
  type Dial,
  encodeAnswer,
  LINK_PROTOCOL,
  linkOptions,
  MAX_MESSAGE
} from "@edge-relay/protocol/LinkProtocol"
import * as PrefixedText from "@edge-relay/protocol/PrefixedText"
import * as RequestId from "@edge-relay/server-kit/RequestId"
import * as Tracing from "@edge-relay/server-kit/Tracing"
import { TunnelServer } from "@edge-relay/tunnel/proxy/TunnelServer"
import { splice } from "@edge-relay/tunnel/Splice"
import { DuplexTransport } from "@edge-relay/yamux/DuplexTransport"
import { Session } from "@edge-relay/yamux/Session"

/**
 * Streams to edges, as others ask for them on the internal port: many over one link, or one over one connection. The
 * connection is taken from the HTTP server as it is, and what comes after the 101 is bytes that nothing here looks at.
 */
export const layer = HttpApiBuilder.group(
  InternalApi,
  "streams",
  Effect.fnUntraced(function* (handlers) {
    const tunnels = yield* TunnelServer
    const open = yield* makeOpen(tunnels.open)
    const run = yield* FiberSet.makeRuntime()
    const links = new Set<Session>()
    yield* Effect.addFinalizer(() => Effect.sync(() => links.forEach((link) => link.destroy())))

    const serve = (stream: Duplex) =>
      serveDial(stream, (dial) => {
        const fiber = run(answerDial(stream, open(dial)))
        // Whoever asked may go before there is an answer.
        stream.once("close", () => fiber.interruptUnsafe())
      })

    return handlers.handleAll({
      link: ({ request }) =>
        takeOver(request, (socket) => {
          switchTo(socket, { Upgrade: LINK_PROTOCOL })
          const link = new Session("server", new DuplexTransport(socket), linkOptions)
          links.add(link)
          link.onClose = () => links.delete(link)
          link.onStream = serve
        }),
      stream: ({ headers, params: { edgeId }, query: { service = "http" }, request }) => {
        const { traceparent, "x-request-id": requestId } = headers
        const dial: Dial = {
          edgeId,
          service,
          ...(requestId !== undefined && { requestId }),
          ...(traceparent !== undefined && { traceparent })
        }
        return Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(restore(Effect.mapError(open(dial), problemOf)), ({ stream, protocol }) =>
            restore(
              takeOver(request, (socket) => {
                switchTo(socket, { Upgrade: STREAM_PROTOCOL, "edge-relay-protocol": protocol })
                splice(socket, stream)
              })
            )
          )
        )
      }
    })
  })
)

/** Opens, traced; fails with what a proxy can tell of its own tunnels. */
const makeOpen = Effect.fnUntraced(function* (
  open: (edgeId: Dial["edgeId"], service: string) => Effect.Effect<EdgeStream, DialError>
) {
  const tracer = yield* Tracing.tracer
  return ({ edgeId, requestId, service, traceparent }: Dial): Effect.Effect<EdgeStream, EdgeDialReason> => {
    const opening = Effect.catch(open(edgeId, service), ({ reason }) =>
      // Only a dialler of other machines' tunnels says that a proxy is unavailable.
      reason._tag === "ProxyUnavailable" ? Effect.die(reason) : Effect.fail(reason)
    ).pipe(
      Effect.tapError(({ _tag, message }) =>
        // Whoever is away is asked for often.
        (_tag === "EdgeOffline" ? Effect.logDebug : Effect.logInfo)("a stream was not opened").pipe(
          Effect.annotateLogs({ edgeId, service, reason: message })
        )
      ),
      RequestId.during(requestId)
    )
    return tracer === undefined
      ? opening
      : Effect.withSpan(opening, "InternalServer.stream", {
          kind: "server",
          parent: Option.getOrUndefined(Tracing.parentOf(traceparent)),
          attributes: { "edge_relay.edge_id": edgeId, "edge_relay.service": service }
        })
  }
})

/** Reads which stream is wanted. */
const serveDial = (stream: Duplex, onDial: (dial: Dial) => void): void => {
  const options = { maxBytes: MAX_MESSAGE, timeoutMillis: DIAL_MILLIS }
  PrefixedText.read(stream, options, (text) => {
    const dial = decodeDial(text)
    if (dial._tag === "None") stream.destroy()
    else onDial(dial.value)
  })
}

const answerDial = (asker: Duplex, opening: Effect.Effect<EdgeStream, EdgeDialReason>) =>
  opening.pipe(
    Effect.match({
      onFailure: (reason) => {
        asker.end(PrefixedText.encode(encodeAnswer(reason)))
        asker.resume()
      },
      onSuccess: ({ stream, protocol }) => {
        if (asker.destroyed) return void stream.destroy()
        asker.write(PrefixedText.encode(encodeAnswer({ protocol })))
        splice(asker, stream)
      }
    }),
    // Whoever asked is not left to wait for an answer.
    Effect.onError((cause) =>
      Effect.andThen(
        Effect.sync(() => asker.destroy()),
        Cause.hasInterrupts(cause) ? Effect.void : Effect.logError("a stream met a defect", cause)
      )
    )
  )

/** Ends when the connection does; the HTTP server writes nothing to it any more. */
const takeOver = (request: HttpServerRequest.HttpServerRequest, use: (socket: Duplex) => void) =>
  Effect.suspend(() => {
    const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
    use(socket)
    return Effect.callback<void>((resume) => {
      const onClose = () => resume(Effect.void)
      if (socket.destroyed) onClose()
      else socket.once("close", onClose)
      return Effect.sync(() => socket.destroy())
    })
  })

const switchTo = (socket: Duplex, headers: Record<string, string>): void => {
  if (socket instanceof Socket) socket.setNoDelay(true)
  const lines = Object.entries({ Connection: "Upgrade", ...headers })
  const text = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${text}\r\n`)
}

const problemOf = (reason: EdgeDialReason) => {
  switch (reason._tag) {
    case "EdgeOffline":
      return new Problem.EdgeOffline({ detail: reason.message })
    case "EdgeBusy":
      return new Problem.EdgeBusy({ detail: reason.detail })
    case "EdgeRefused":
      return new Problem.EdgeRefused({ detail: reason.detail })
    case "EdgeReset":
      return new Problem.EdgeReset({ detail: reason.message })
    case "EdgeTimeout":
      return new Problem.EdgeTimeout({ detail: reason.message })
  }
}

/** A dial follows its stream's first frame at once. */
const DIAL_MILLIS = 5_000
