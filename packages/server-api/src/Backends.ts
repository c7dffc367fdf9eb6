import { Oidc } from "@edge-relay/auth/Oidc"
import { Database } from "@edge-relay/storage/Database"
import * as SignInSessionsSql from "@edge-relay/storage/SignInSessionsSql"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import { SessionDirectory } from "@edge-relay/tunnel/SessionDirectory"
import { TunnelDialer } from "@edge-relay/tunnel/TunnelDialer"
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect, Layer } from "effect"
import { RateLimiter } from "effect/persistence"
import { AccessLog } from "./AccessLog.ts"
import { Config, type Settings } from "./Config.ts"
import { Presence } from "./Presence.ts"
import * as PresenceRemote from "./PresenceRemote.ts"
import * as RateLimitStore from "./RateLimitStore.ts"
import { Readiness } from "./Readiness.ts"

/** What `main.ts` closes `Server.ts` with: the database, the identity provider, and the proxies. */
export const layer = Layer.unwrap(
  Effect.map(Config, (config) => {
    const database = Layer.mergeAll(SqlStorage.layer, SignInSessionsSql.layer).pipe(
      Layer.provideMerge(Database.layer({ url: config.databaseUrl }))
    )

    const proxies = Layer.mergeAll(
      TunnelDialer.layerRemote({ internalKey: config.internalKey }),
      PresenceRemote.layer({ internalKey: config.internalKey }).pipe(
        Layer.provide(NodeHttpClient.layerUndici)
      )
    ).pipe(Layer.provide(SessionDirectory.layerMemory(config.proxyInternalUrl.origin)))

    const provider = Oidc.layer({ ...config.oidc, publicUrl: config.publicUrl })

    return Layer.mergeAll(
      AccessLog.layer({ write: accessLines(config), format: config.logFormat }),
      database,
      proxies,
      provider,
      RateLimiter.layer.pipe(Layer.provide(RateLimitStore.layerMemory))
    ).pipe(Layer.provideMerge(NodeCrypto.layer))
  })
)

/** Lines of requests are of level info. */
const accessLines = ({ logLevel }: Settings) =>
  logLevel === "Debug" || logLevel === "Info" ? (text: string) => void process.stdout.write(text) : () => {}

/** What `/readyz` asks of them. */
export const layerReadiness = Layer.effectDiscard(
  Effect.gen(function* () {
    const readiness = yield* Readiness
    const database = yield* Database
    const oidc = yield* Oidc
    const presence = yield* Presence
    yield* readiness.require("database", missing(database.ready))
    yield* readiness.require("identity provider", missing(oidc.ready))
    yield* readiness.require(
      "proxy",
      Effect.sync(() => presence.missing()[0]?.reason)
    )
  })
)

const missing = <E>(ready: Effect.Effect<void, E>): Effect.Effect<string | undefined> =>
  Effect.match(ready, { onFailure: () => "does not answer", onSuccess: () => undefined })
