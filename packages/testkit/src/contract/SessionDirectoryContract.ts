import { assert, describe, type Vitest } from "@effect/vitest"
import { Effect, Option } from "effect"
import { SecureRandom } from "effect/crypto"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"

export const newEdge = TypeId.make("edge").pipe(
  Effect.map((id) => EdgeId.make(id)),
  Effect.provide(SecureRandom.layerWebCrypto)
)

/** What holds for one proxy, wherever the directory is kept. `it` provides the directory of the proxy at `url`. */
export const suite = (
  name: string,
  it: Pick<Vitest.MethodsNonLive<SessionDirectory>, "effect">,
  url: string
) =>
  describe(`SessionDirectory in ${name}`, () => {
    it.effect("gives each claim a number greater than every earlier one, of any edge", () =>
      Effect.gen(function* () {
        const directory = yield* SessionDirectory
        const edges = [yield* newEdge, yield* newEdge]
        let last = 0
        for (let i = 0; i < 20; i++) {
          for (const edgeId of edges) {
            const claim = yield* directory.claim(edgeId)
            assert.strictEqual(claim.edgeId, edgeId)
            assert.isTrue(Number.isSafeInteger(claim.fence))
            assert.isAbove(claim.fence, last)
            last = claim.fence
          }
        }
      })
    )

    it.effect("gives up the current claim once, and never for an older one", () =>
      Effect.gen(function* () {
        const directory = yield* SessionDirectory
        const edgeId = yield* newEdge
        const older = yield* directory.claim(edgeId)
        const newer = yield* directory.claim(edgeId)
        assert.isFalse(yield* directory.release(older))
        assert.deepStrictEqual(yield* directory.locate(edgeId), Option.some(url))
        assert.isTrue(yield* directory.release(newer))
        assert.isFalse(yield* directory.release(newer))
      })
    )

    it.effect("gives up claims of one edge without touching another's", () =>
      Effect.gen(function* () {
        const directory = yield* SessionDirectory
        const one = yield* directory.claim(yield* newEdge)
        const two = yield* directory.claim(yield* newEdge)
        assert.isFalse(yield* directory.release({ edgeId: one.edgeId, fence: two.fence }))
        assert.isTrue(yield* directory.release(one))
        assert.deepStrictEqual(yield* directory.locate(two.edgeId), Option.some(url))
      })
    )

    it.effect("gives all of many claims at once a number of its own", () =>
      Effect.gen(function* () {
        const directory = yield* SessionDirectory
        const edgeId = yield* newEdge
        const claims = yield* Effect.all(
          Array.from({ length: 50 }, () => directory.claim(edgeId)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(claims.map(({ fence }) => fence)).size, 50)
        const released = yield* Effect.forEach(claims, directory.release, { concurrency: "unbounded" })
        assert.strictEqual(released.filter((was) => was).length, 1)
      })
    )

    it.effect("lists the proxy, which takes tunnels", () =>
      Effect.gen(function* () {
        const directory = yield* SessionDirectory
        assert.deepStrictEqual(yield* directory.proxies, [url])
        assert.isTrue(yield* directory.isAccepting)
      })
    )
  })
