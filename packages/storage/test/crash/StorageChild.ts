import * as fs from "node:fs"
import { Effect, Layer, Redacted } from "effect"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { Pairing } from "@edge-relay/domain/pairing/Pairing"
import { PairingCodes } from "@edge-relay/domain/pairing/PairingCodes"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { crypto, newUser, type Repositories } from "@edge-relay/testkit/contract/Fixtures"
import { Database } from "../../src/database/Database.ts"
import * as SqlStorage from "../../src/SqlStorage.ts"

/**
 * A process of its own that uses the storage, for tests that kill it: `node StorageChild.ts MODE URL [CODE]`. It says each
 * thing on a line of JSON the moment it is acknowledged, not before.
 */

/** At once on the descriptor: what was said is said, whatever happens next. */
const say = (message: object) => Effect.sync(() => fs.writeSync(1, `${JSON.stringify(message)}\n`))

const die = Effect.sync(() => process.kill(process.pid, "SIGKILL"))

const [mode = "", url = "", argument = ""] = process.argv.slice(2)

/** A thousand exchanges, each edge renamed and labelled at once, several under way at any time. */
const work = Effect.gen(function* () {
  const pairing = yield* Pairing
  const edges = yield* Edges
  const { tenantId, userId } = yield* newUser
  yield* say({ tenantId })
  yield* Effect.forEach(
    Array(1000).keys(),
    Effect.fnUntraced(function* (n) {
      const { id, code } = yield* pairing.createCode(tenantId, userId, { name: `edge ${n}` })
      const { edgeId, token } = yield* pairing.exchange({ code })
      yield* say({ codeId: id, edgeId, token: Redacted.value(token), name: `edge ${n}` })
      yield* edges.update(tenantId, edgeId, { name: `renamed ${n}`, labels: [`n=${n}`, "renamed"] })
      yield* say({ edgeId, renamed: `renamed ${n}` })
    }),
    { concurrency: 4 }
  )
})

/** Twenty-five exchanges of one code at once. */
const exchange = Effect.gen(function* () {
  const pairing = yield* Pairing
  yield* say({ ready: "yes" })
  yield* Effect.forEach(
    Array(25).keys(),
    () =>
      pairing.exchange({ code: Redacted.make(argument) }).pipe(
        Effect.andThen(({ token }) => say({ token: Redacted.value(token) })),
        Effect.catchTag("CodeNotOpen", () => Effect.void)
      ),
    { concurrency: "unbounded", discard: true }
  )
})

/** One exchange that dies right after a step of it. */
const dieAfter = (step: string) =>
  Effect.gen(function* () {
    const edges = yield* Edges
    const tokens = yield* SessionTokens
    const codes = yield* PairingCodes
    const { tenantId, userId } = yield* newUser
    const after = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>) =>
      name === step ? Effect.tap(effect, die) : effect
    const swapped = Layer.mergeAll(
      Layer.succeed(Edges, { ...edges, create: (...args) => after("create", edges.create(...args)) }),
      Layer.succeed(SessionTokens, {
        ...tokens,
        issue: (...args) =>
          after(
            "issue",
            Effect.tap(tokens.issue(...args), ({ secret }) => say({ token: Redacted.value(secret) }))
          )
      }),
      Layer.succeed(PairingCodes, { ...codes, markUsed: (...args) => after("mark", codes.markUsed(...args)) })
    )
    const { code } = yield* Pairing.use((pairing) => pairing.createCode(tenantId, userId, {}))
    yield* say({ tenantId, code: Redacted.value(code) })
    yield* Pairing.use((pairing) => pairing.exchange({ code })).pipe(
      Effect.provide(Pairing.layer.pipe(Layer.provide(swapped)), { local: true })
    )
  })

const modes: Record<string, Effect.Effect<unknown, unknown, Pairing | Repositories>> = {
  /** Opening it is all. */
  migrate: Effect.void,
  work,
  exchange,
  create: dieAfter("create"),
  issue: dieAfter("issue"),
  mark: dieAfter("mark")
}

await Effect.runPromise(
  (modes[mode] ?? Effect.die(`no mode ${mode}`)).pipe(
    Effect.provide(
      Pairing.layer.pipe(
        Layer.provideMerge(SqlStorage.layer),
        Layer.provideMerge(Database.layer({ url: Redacted.make(url) })),
        Layer.provideMerge(crypto)
      )
    )
  )
)
