import { NodeHttpClient } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { readFile } from "node:fs/promises"
import { EnvHttpProxyAgent } from "undici"

/** An HTTP client that goes through `HTTPS_PROXY` where that is set, and trusts the given authorities. */
export const cloudClient = (caFile: string | undefined) =>
  NodeHttpClient.layerUndiciNoDispatcher.pipe(
    Layer.provide(
      Layer.effect(
        NodeHttpClient.Dispatcher,
        Effect.acquireRelease(
          Effect.promise(async () => {
            const ca = caFile === undefined ? undefined : await readFile(caFile, "utf8")
            const tls = ca === undefined ? {} : { connect: { ca }, requestTls: { ca } }
            return new EnvHttpProxyAgent({ ...tls, headersTimeout: 30_000, bodyTimeout: 30_000 })
          }),
          (agent) => Effect.promise(() => agent.destroy())
        )
      )
    )
  )
