import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { Effect, Layer } from "effect"
import { Database } from "@edge-relay/storage/database/Database"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import * as RedisConnection from "@edge-relay/server-kit/RedisConnection"
import * as RedisSessionDirectory from "@edge-relay/tunnel/directory/RedisSessionDirectory"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { Config, type Settings } from "./Config.ts"
import { Readiness } from "@edge-relay/server-kit/Readiness"

/** What `main.ts` closes `Server.ts` with: the database that the api shares, and the directory of the cluster. */
export const layer = Layer.unwrap(
  Effect.map(Config, (config) =>
    Layer.mergeAll(SqlStorage.layer, readiness).pipe(
      Layer.provideMerge(directory(config)),
      Layer.provide(Database.layer({ url: config.databaseUrl })),
      Layer.provide(NodeCrypto.layer)
    )
  )
)

/** Of this one proxy, or, in Redis, of all that there are. */
const directory = ({ proxyInternalUrl: proxyUrl, redisPrefix, redisUrl }: Settings) =>
  redisUrl === undefined
    ? SessionDirectory.layerMemory(proxyUrl)
    : RedisSessionDirectory.layer({ proxyUrl, cluster: redisPrefix }).pipe(
        Layer.provide(RedisConnection.layer(NodeRedis.layer(RedisConnection.clientOptions(redisUrl))))
      )

const readiness = Layer.effectDiscard(
  Effect.gen(function* () {
    const readiness = yield* Readiness
    const database = yield* Database
    const directory = yield* SessionDirectory
    const lease = Effect.flatMap(directory.isAccepting, (accepting) =>
      accepting ? Effect.void : Effect.fail({ reason: "does not answer" })
    )
    yield* readiness[database.isShared ? "share" : "require"]("database", database.ready)
    yield* readiness.share("session directory", lease)
  })
).pipe(Layer.provideMerge(Readiness.layer))
