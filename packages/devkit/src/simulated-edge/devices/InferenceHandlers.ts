import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { InvalidRequest, PayloadTooLarge, UpgradeRequired } from "@edge-relay/domain/edge-api/EdgeProblem"
import { InferenceEvent, InferenceMessage, maxImageBytes } from "@edge-relay/domain/edge-api/Inference"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect, Schema, Stream } from "effect"
import { type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, HttpApiError } from "effect/http-api"
import { eventStream } from "../EventStream.ts"
import { imageSize } from "@edge-relay/conformance/ImageSize"
import { InferenceRuns } from "./InferenceRuns.ts"

/** Bytes that may wait in a WebSocket before its reader is too slow and loses results. */
const maxWaitingBytes = 64 * 1024

export const InferenceHandlers = HttpApiBuilder.group(
  EdgeApi,
  "inference",
  Effect.fn(function* (handlers) {
    const runs = yield* InferenceRuns
    return handlers.handleAll({
      start: ({ params, payload }) => runs.start(params.deviceId, payload?.cameraId ?? null),
      stop: ({ params }) => runs.stop(params.deviceId),
      events: Effect.fn(function* ({ params }) {
        const messages = yield* runs.messages(params.deviceId)
        return eventStream(InferenceEvent, Stream.map(messages, toEvent))
      }),
      socket: Effect.fn(function* ({ params, request }) {
        const messages = yield* runs.messages(params.deviceId)
        if (request.headers.upgrade?.toLowerCase() !== "websocket") {
          return yield* new UpgradeRequired({ detail: "this endpoint speaks WebSocket only" })
        }
        yield* serveSocket(request, messages)
        return HttpServerResponse.empty()
      }),
      infer: Effect.fn(function* ({ params, payload }) {
        const bytes = yield* collect(payload)
        const image = imageSize(bytes)
        if (image === undefined) {
          return yield* new InvalidRequest({ detail: "the body is not a JPEG or PNG image" })
        }
        return { deviceId: params.deviceId, image, ...(yield* runs.infer(params.deviceId)) }
      })
    })
  })
)

const toEvent = (message: InferenceMessage): typeof InferenceEvent.Type =>
  message.type === "status"
    ? { event: "status", data: message.status }
    : { event: "result", id: String(message.result.sequence), data: message.result }

/** Sends until the client closes; what it sends is thrown away. */
const serveSocket = Effect.fnUntraced(
  function* (request: HttpServerRequest.HttpServerRequest, messages: Stream.Stream<InferenceMessage>) {
    const socket = yield* request.upgrade
    // The connection under the WebSocket, whose own buffer has no bound: see what waits in it.
    const connection = NodeHttpServerRequest.toIncomingMessage(request).socket
    const reader = yield* socket.reader
    const writer = yield* socket.writer
    const sending = Stream.runForEach(messages, (message) =>
      message.type === "result" && connection.writableLength > maxWaitingBytes
        ? Effect.void
        : Effect.flatMap(Effect.orDie(encodeMessage(message)), writer.write)
    )
    yield* Effect.raceFirst(Effect.forever(reader.pull), sending)
  },
  Effect.scoped,
  Effect.catchTags({
    // Every close is an error to the socket, and none is one here.
    SocketError: () => Effect.void,
    HttpServerError: (error) => Effect.die(error)
  })
)

const encodeMessage = Schema.encodeEffect(Schema.fromJsonString(Schema.toCodecJson(InferenceMessage)))

/** The whole image; the contract bounds it. */
const collect = (body: Stream.Stream<Uint8Array, unknown>): Effect.Effect<Uint8Array, PayloadTooLarge> =>
  Stream.runCollect(body).pipe(
    Effect.map((chunks) => Buffer.concat(chunks)),
    Effect.catch((error) =>
      HttpApiError.HttpApiPayloadTooLarge.is(error)
        ? Effect.fail(
            new PayloadTooLarge({ detail: `an image of more than ${maxImageBytes} bytes is not taken` })
          )
        : Effect.die(error)
    )
  )
