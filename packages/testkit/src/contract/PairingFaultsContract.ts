import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Layer, type Redacted } from "effect"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { Pairing } from "@edge-relay/domain/pairing/Pairing"
import { PairingCodes } from "@edge-relay/domain/pairing/PairingCodes"
import { PairingRequests } from "@edge-relay/domain/pairing/PairingRequests"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { away, type It, newUser } from "./Fixtures.ts"

/**
 * An exchange that breaks off, at each of its steps, by repositories swapped for ones that fail. Whatever happens,
 * there is no token that counts, or the one that its code names; and while there is none, the code is still good.
 */

type Faults = {
  readonly create?: "before" | "after"
  readonly issue?: "before" | "after"
  readonly mark?: "before" | "after" | "dies" | "interrupts"
  readonly revoke?: "before"
  readonly remove?: "before"
}

const failing = <A, E, R>(effect: Effect.Effect<A, E, R>, when: Faults[keyof Faults]) => {
  switch (when) {
    case undefined:
      return effect
    case "before":
      return away
    case "after":
      return Effect.andThen(effect, away)
    case "dies":
      return Effect.die(new Error("died"))
    case "interrupts":
      return Effect.interrupt
  }
}

/** One exchange with these faults: how it ended, and every token that was issued on the way. */
const exchangeWith = Effect.fnUntraced(function* (code: Redacted.Redacted<string>, faults: Faults) {
  const edges = yield* Edges
  const tokens = yield* SessionTokens
  const codes = yield* PairingCodes
  const issued: Array<Redacted.Redacted<string>> = []
  const swapped = Layer.mergeAll(
    Layer.succeed(Edges, {
      ...edges,
      create: (tenantId, edge) => failing(edges.create(tenantId, edge), faults.create),
      remove: (tenantId, id) => failing(edges.remove(tenantId, id), faults.remove)
    }),
    Layer.succeed(SessionTokens, {
      ...tokens,
      issue: (tenantId, edgeId, grantedBy) =>
        failing(
          Effect.tap(tokens.issue(tenantId, edgeId, grantedBy), ({ secret }) =>
            Effect.sync(() => issued.push(secret))
          ),
          faults.issue
        ),
      revoke: (tenantId, tokenId) => failing(tokens.revoke(tenantId, tokenId), faults.revoke)
    }),
    Layer.succeed(PairingCodes, {
      ...codes,
      markUsed: (tenantId, id, tokenId, now) =>
        failing(codes.markUsed(tenantId, id, tokenId, now), faults.mark)
    })
  )
  const exit = yield* Pairing.use(({ exchange }) => exchange({ code })).pipe(
    Effect.provide(Pairing.layer.pipe(Layer.provide(swapped)), { local: true }),
    Effect.exit
  )
  return { exit, issued }
})

const live = (secrets: ReadonlyArray<Redacted.Redacted<string>>) =>
  Effect.filter(secrets, (secret) =>
    SessionTokens.use((tokens) => tokens.authenticate(secret)).pipe(
      Effect.as(true),
      Effect.catchTag("TokenRejected", () => Effect.succeed(false))
    )
  )

const cases: ReadonlyArray<readonly [what: string, Faults]> = [
  ["the edge is not created", { create: "before" }],
  ["the edge is created, but that is not answered", { create: "after" }],
  ["no token is issued", { issue: "before" }],
  ["a token is issued, but that is not answered", { issue: "after" }],
  ["marking the code fails", { mark: "before" }],
  ["marking the code fails, and so does revoking", { mark: "before", revoke: "before" }],
  ["marking, revoking and removing the edge fail", { mark: "before", revoke: "before", remove: "before" }],
  ["a token is issued unanswered, and nothing can be taken back", { issue: "after", remove: "before" }],
  ["the exchange dies while marking", { mark: "dies" }],
  [
    "the exchange dies while marking, and nothing can be taken back",
    { mark: "dies", revoke: "before", remove: "before" }
  ],
  ["the exchange is interrupted while marking", { mark: "interrupts" }]
]

export const suite = (name: string, it: It) =>
  describe(`Pairing that breaks off in ${name}`, () => {
    for (const [what, faults] of cases) {
      it.effect(`leaves no token that counts, and the code open, when ${what}`, () =>
        Effect.gen(function* () {
          const { tenantId, userId } = yield* newUser
          const { createCode } = yield* Effect.provide(Pairing, Pairing.layer, { local: true })
          const { code } = yield* createCode(tenantId, userId, {})
          const broken = yield* exchangeWith(code, faults)
          assert.isTrue(Exit.isFailure(broken.exit))
          assert.deepStrictEqual(yield* live(broken.issued), [])
          if (faults.remove === undefined) assert.strictEqual(yield* (yield* Edges).count(tenantId), 0)
          const again = yield* exchangeWith(code, {})
          assert.isTrue(Exit.isSuccess(again.exit))
          assert.strictEqual((yield* live([...broken.issued, ...again.issued])).length, 1)
        })
      )
    }

    it.effect("leaves no token when the code is marked, but that is not answered", () =>
      Effect.gen(function* () {
        const { tenantId, userId } = yield* newUser
        const { createCode } = yield* Effect.provide(Pairing, Pairing.layer, { local: true })
        const { code } = yield* createCode(tenantId, userId, {})
        const broken = yield* exchangeWith(code, { mark: "after" })
        assert.isTrue(Exit.isFailure(broken.exit))
        assert.deepStrictEqual(yield* live(broken.issued), [])
        assert.strictEqual(yield* (yield* Edges).count(tenantId), 0)
      })
    )

    it.effect("leaves no token that counts when the code is marked unanswered and its edge stays", () =>
      Effect.gen(function* () {
        const { tenantId, userId } = yield* newUser
        const { createCode } = yield* Effect.provide(Pairing, Pairing.layer, { local: true })
        const { code } = yield* createCode(tenantId, userId, {})
        const broken = yield* exchangeWith(code, { mark: "after", remove: "before" })
        assert.isTrue(Exit.isFailure(broken.exit))
        assert.deepStrictEqual(yield* live(broken.issued), [])
      })
    )

    it.effect("leaves an approved request to be polled again when marking it fails", () =>
      Effect.gen(function* () {
        const { tenantId, userId } = yield* newUser
        const requests = yield* PairingRequests
        const { begin, approve, poll } = yield* Effect.provide(Pairing, Pairing.layer, { local: true })
        const { deviceCode, userCode } = yield* begin({ hostname: "jetson" })
        yield* approve(tenantId, userId, userCode)
        const broken = Layer.succeed(PairingRequests, { ...requests, markUsed: () => away })
        const error = yield* Pairing.use((pairing) => pairing.poll(deviceCode)).pipe(
          Effect.provide(Pairing.layer.pipe(Layer.provide(broken)), { local: true }),
          Effect.flip
        )
        assert.strictEqual(error._tag, "StorageUnavailable")
        assert.strictEqual(yield* (yield* Edges).count(tenantId), 0)
        const { token } = yield* poll(deviceCode)
        assert.strictEqual((yield* live([token])).length, 1)
      })
    )

    it.effect("leaves one token at most when half of fifty exchanges at once fail to mark", () =>
      Effect.gen(function* () {
        const { tenantId, userId } = yield* newUser
        const { createCode } = yield* Effect.provide(Pairing, Pairing.layer, { local: true })
        const { code } = yield* createCode(tenantId, userId, {})
        const all = yield* Effect.forEach(
          Array(50).keys(),
          (n) => exchangeWith(code, n % 2 === 0 ? { mark: "before", revoke: "before" } : {}),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(all.filter(({ exit }) => Exit.isSuccess(exit)).length, 1)
        assert.strictEqual((yield* live(all.flatMap(({ issued }) => issued))).length, 1)
        assert.strictEqual(yield* (yield* Edges).count(tenantId), 1)
      })
    )
  })
