import * as Api from "@edge-relay/server-api/Config"
import { read, variable } from "@edge-relay/server-kit/Environment"
import * as Proxy from "@edge-relay/server-proxy/Config"
import { Effect, Layer, Result } from "effect"

/** The environment of both servers, and that there is one of each: what two processes share is not shared here. */
export const layer = Layer.unwrap(
  Effect.as(
    Effect.suspend(() => read(alone, () => [])),
    Layer.mergeAll(Api.Config.layer, Proxy.Config.layer)
  )
)

const alone = {
  redisUrl: variable("REDIS_URL", "", (given) =>
    given === undefined
      ? Result.succeed(undefined)
      : Result.fail("is for several servers: run them as npm run api and npm run proxy, or leave it out")
  )
}
