import { EdgeApi } from "@edge-relay/domain/edge-api/EdgeApi"
import { FlashEvent } from "@edge-relay/domain/edge-api/Firmware"
import { Effect, Stream } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { eventStream } from "../EventStream.ts"
import { Flashes } from "./Flashes.ts"

export const FirmwareHandlers = HttpApiBuilder.group(
  EdgeApi,
  "firmware",
  Effect.fn(function* (handlers) {
    const flashes = yield* Flashes
    return handlers.handleAll({
      flash: ({ params, payload }) => flashes.begin(params.deviceId, payload.modelId),
      status: ({ params }) => flashes.last(params.deviceId),
      events: Effect.fn(function* ({ params }) {
        const progress = yield* flashes.progress(params.deviceId)
        return eventStream(
          FlashEvent,
          Stream.map(progress, (data) => ({ event: "progress" as const, data }))
        )
      })
    })
  })
)
