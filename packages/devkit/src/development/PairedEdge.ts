import { tenantId, userId } from "@edge-relay/auth/sign-in/Identity"
import { Pairing } from "@edge-relay/domain/pairing/Pairing"
import { AgentState, Credentials } from "@edge-relay/edge-agent/AgentState"
import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"
import { Database } from "@edge-relay/storage/database/Database"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import { NodeCrypto } from "@effect/platform-node"
import { Deferred, Effect, Layer, Option, Redacted } from "effect"
import { arch, hostname, platform } from "node:os"
import { userOf } from "../provider/Users.ts"

/**
 * The simulated edge's agent: paired with alice as a person would pair it, by a code, and connected through a
 * real tunnel. Its credentials are kept, so that it is the same edge after a restart.
 */

interface PairedEdgeOptions {
  readonly issuer: string
  readonly databaseUrl: string
  readonly cloudUrl: string
  readonly tunnelUrl: string
  readonly edgePort: number
}

/** What only somebody who is signed in as alice could ask for. */
const pair = Effect.fn("PairedEdge.pair")(function* (options: PairedEdgeOptions) {
  const alice = yield* Effect.fromNullishOr(userOf("alice")).pipe(Effect.orDie)
  const paired = yield* Effect.gen(function* () {
    const pairing = yield* Pairing
    const { code } = yield* pairing.createCode(
      tenantId(options.issuer, alice.subject, alice.tenant),
      userId(options.issuer, alice.subject),
      { name: "Simulated edge" }
    )
    return yield* pairing.exchange({ code, hostname: hostname() })
  }).pipe(
    Effect.provide(
      Pairing.layer.pipe(
        Layer.provide(SqlStorage.layer),
        Layer.provide(Database.layer({ url: Redacted.make(options.databaseUrl) })),
        Layer.provide(NodeCrypto.layer)
      )
    )
  )
  const credentials = new Credentials({
    cloudUrl: options.cloudUrl,
    edgeId: paired.edgeId,
    token: paired.token,
    tunnelUrl: options.tunnelUrl,
    services: { http: `http://127.0.0.1:${options.edgePort}` }
  })
  const state = yield* AgentState
  yield* state.write(credentials)
  return credentials
})

/** Connects in the background for as long as the scope lasts; answers once it is connected for the first time. */
export const connect = Effect.fn("PairedEdge.connect")(function* (options: PairedEdgeOptions) {
  const connected = yield* Deferred.make<void>()
  const state = yield* AgentState
  const kept = yield* Effect.option(state.read)
  const keep = (
    credentials: Credentials
  ): Effect.Effect<never, Effect.Error<ReturnType<typeof pair>>, AgentState> =>
    TunnelClient.run({
      // Ports may have changed since it was paired.
      url: options.tunnelUrl,
      token: credentials.token,
      services: new Map([["http", { host: "127.0.0.1", port: options.edgePort }]]),
      hello: { agent: "edge-relay/simulated", hostname: hostname(), os: platform(), arch: arch() },
      onStatus: (status) =>
        status._tag === "connected" ? Effect.asVoid(Deferred.succeed(connected, undefined)) : Effect.void
    }).pipe(
      // Somebody removed it in the console: a new one takes its place at the next start.
      Effect.catchTag("TunnelRevoked", () =>
        kept._tag === "Some" && credentials === kept.value
          ? Effect.flatMap(pair(options), keep)
          : Effect.never
      )
    )
  const credentials = Option.isSome(kept) ? kept.value : yield* pair(options)
  yield* Effect.forkScoped(keep(credentials))
  yield* Effect.timeoutOption(Deferred.await(connected), "8 seconds")
})
