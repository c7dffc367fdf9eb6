import * as ApiBackends from "@edge-relay/server-api/Backends"
import { Readiness } from "@edge-relay/server-kit/Readiness"
import { Config } from "@edge-relay/server-proxy/Config"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { Effect, Layer } from "effect"

/** What `Server.ts` is closed with: one database for both, one readiness, and the directory of a single proxy. */
export const layer = Layer.mergeAll(
  ApiBackends.layerReadinessLocal.pipe(Layer.provideMerge(ApiBackends.layerLocal)),
  ApiBackends.layerLimits,
  Layer.unwrap(Effect.map(Config, ({ proxyInternalUrl }) => SessionDirectory.layerMemory(proxyInternalUrl)))
).pipe(Layer.provideMerge(Readiness.layer))
