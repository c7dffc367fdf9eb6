import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { Effect, Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Cameras } from "./Cameras.ts"
import { page } from "../Listing.ts"

const boundary = "edge-relay-frame"
const lineEnd = new TextEncoder().encode("\r\n")

export const CamerasHandlers = HttpApiBuilder.group(
  EdgeApi,
  "cameras",
  Effect.fn(function* (handlers) {
    const cameras = yield* Cameras
    return handlers.handleAll({
      list: ({ query }) => Effect.flatMap(cameras.list, (items) => page(items, query)),
      start: ({ params }) => cameras.start(params.cameraId),
      stop: ({ params }) => cameras.stop(params.cameraId),
      snapshot: Effect.fn(function* ({ params }) {
        return HttpServerResponse.uint8Array(yield* cameras.snapshot(params.cameraId), {
          contentType: "image/jpeg",
          headers: { "cache-control": "no-store" }
        })
      }),
      stream: Effect.fn(function* ({ params }) {
        const frames = yield* cameras.frames(params.cameraId)
        return HttpServerResponse.stream(Stream.map(frames, toPart), {
          contentType: `multipart/x-mixed-replace; boundary=${boundary}`,
          headers: { "cache-control": "no-store" }
        })
      })
    })
  })
)

const toPart = (jpeg: Uint8Array): Uint8Array => {
  const header = `--${boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: ${jpeg.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(header), jpeg, lineEnd])
}
