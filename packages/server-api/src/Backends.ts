import { Oidc } from "@edge-relay/auth/provider/Oidc"
import { Database } from "@edge-relay/storage/database/Database"
import * as SignInSessionsSql from "@edge-relay/storage/sign-in/SignInSessionsSql"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import * as RedisConnection from "@edge-relay/server-kit/RedisConnection"
import * as RedisSessionDirectoryReader from "@edge-relay/tunnel/directory/RedisSessionDirectoryReader"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { Effect, Layer, type Redacted } from "effect"
import { RateLimiter } from "effect/persistence"
import { AccessLog } from "./AccessLog.ts"
import { Config, type Settings } from "./Config.ts"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import * as PresenceRemote from "./presence/PresenceRemote.ts"
import * as RateLimitStore from "./http/conventions/RateLimitStore.ts"
import { Readiness } from "@edge-relay/server-kit/Readiness"

/** The database, the identity provider and the log of requests: what the api needs wherever tunnels are. */
export const layerLocal = Layer.unwrap(
  Effect.map(Config, (config) => {
    const database = Layer.mergeAll(SqlStorage.layer, SignInSessionsSql.layer).pipe(
      Layer.provideMerge(Database.layer({ url: config.databaseUrl }))
    )
    return Layer.mergeAll(
      AccessLog.layer({ write: accessLines(config), format: config.logFormat }),
      database,
      Oidc.layer({ ...config.oidc, publicUrl: config.publicUrl })
    ).pipe(Layer.provideMerge(NodeCrypto.layer))
  })
)

/** What `main.ts` closes `Server.ts` with: all of that, and the proxies. */
export const layer = Layer.unwrap(
  Effect.map(Config, (config) => {
    const proxies = Layer.mergeAll(
      TunnelDialer.layerRemote({ internalKey: config.internalKey }),
      PresenceRemote.layer({ internalKey: config.internalKey })
    )
    const cluster =
      config.redisUrl === undefined
        ? alone(config.proxyInternalUrl)
        : together(config.redisUrl, config.redisPrefix)
    return Layer.mergeAll(layerLocal, proxies, RateLimiter.layer).pipe(
      Layer.provide(cluster),
      Layer.provideMerge(NodeCrypto.layer)
    )
  })
)

/** One server of each kind. */
const alone = (proxyInternalUrl: URL) =>
  Layer.mergeAll(SessionDirectory.layerMemory(proxyInternalUrl.origin), RateLimitStore.layerMemory)

/** Of a server that counts for itself alone. */
export const layerLimits = RateLimiter.layer.pipe(Layer.provide(RateLimitStore.layerMemory))

/** Several: Redis says where edges are, and counts for all of them. */
const together = (url: Redacted.Redacted<string>, prefix: string) =>
  Layer.mergeAll(
    RedisSessionDirectoryReader.layer({ cluster: prefix }),
    RateLimiter.layerStoreRedis({ prefix: `${prefix}:limit:` })
  ).pipe(Layer.provide(RedisConnection.layer(NodeRedis.layer(RedisConnection.clientOptions(url)))))

/** Lines of requests are of level info. */
const accessLines = ({ logLevel }: Settings) =>
  logLevel === "Debug" || logLevel === "Info" ? (text: string) => void process.stdout.write(text) : () => {}

/** What `/readyz` asks of the database and of the provider. */
export const layerReadinessLocal = Layer.effectDiscard(
  Effect.gen(function* () {
    const readiness = yield* Readiness
    const database = yield* Database
    const oidc = yield* Oidc
    yield* readiness[database.isShared ? "share" : "require"]("database", database.ready)
    yield* readiness.share(
      "identity provider",
      Effect.mapError(oidc.ready, ({ fault }) => ({ reason: fault ?? "does not answer" }))
    )
  })
)

/** The same, and of the proxies. */
export const layerReadiness = Layer.effectDiscard(
  Effect.gen(function* () {
    const readiness = yield* Readiness
    const presence = yield* Presence
    const found = (name: string, unless?: string) =>
      Effect.suspend(() => {
        const missing = presence.missing().find((one) => one.name === name || one.name === unless)
        if (missing === undefined) return Effect.void
        return Effect.fail(missing.name === name ? missing : { reason: `is unknown without the ${unless}` })
      })
    yield* readiness.share("session directory", found("session directory"))
    yield* readiness.share("proxy", found("proxy", "session directory"))
  })
).pipe(Layer.merge(layerReadinessLocal))
