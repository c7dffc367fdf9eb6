import { assert, describe, it, layer } from "@effect/vitest"
import * as MemoryStorage from "@edge-relay/domain/MemoryStorage"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import * as SignInSessionsMemory from "@edge-relay/domain/sign-in/SignInSessionsMemory"
import { TestApi } from "@edge-relay/testkit/api/TestApi"
import type { Walked } from "@edge-relay/testkit/contract/EveryEndpoint"
import * as Walk from "@edge-relay/testkit/contract/EveryEndpointContract"
import * as WalkRoles from "@edge-relay/testkit/contract/EveryEndpointRoles"
import * as WalkTokens from "@edge-relay/testkit/contract/EveryEndpointTokens"
import { isInstalled, PostgresServer } from "@edge-relay/testkit/PostgresServer"
import { layerUrl, temporaryFolder } from "@edge-relay/testkit/SqlRepositories"
import { Effect, Layer } from "effect"

/** The walk over every endpoint, on every store. `e2e/EveryEndpoint.test.ts` makes it on the real processes. */
const walked = Effect.map(TestApi, (api): Walked => ({
  url: api.url,
  signIn: (person) => Effect.map(api.signIn(person), ({ cookie }) => cookie)
}))

it("Every endpoint is public only where that was decided", Walk.decidesWhatIsPublic)

const suite = (name: string, storage: Parameters<typeof TestApi.layerOn>[0]) =>
  layer(TestApi.layerOn(storage), { excludeTestServices: true, timeout: "60 seconds" })(
    `Every endpoint, on ${name},`,
    (it) => {
      for (const [what, sentBy] of Object.entries(Walk.withoutSession)) {
        it.effect(what, () =>
          Effect.flatMap(walked, (walked) =>
            Effect.flatMap(sentBy(walked), (sent) => Walk.refuses(walked, sent))
          )
        )
      }

      it.effect("answers 401 to an expired session", () =>
        Effect.gen(function* () {
          const api = yield* TestApi
          const expired = yield* api.signIn("expired", { expiresInMillis: 20 })
          yield* Effect.sleep("30 millis")
          yield* Walk.refuses(yield* walked, { cookie: expired.cookie })
        })
      )

      it.effect("answers 404 to another tenant, the same as for what was never issued", () =>
        Effect.gen(function* () {
          const api = yield* TestApi
          const { edgeId } = yield* Walk.hidesFromOthers(yield* walked, (edgeId, tenantId) =>
            api.connect(TenantId.make(tenantId), EdgeId.make(edgeId))
          )
          assert.isDefined(api.presence.session(EdgeId.make(edgeId)))
        })
      )

      it.effect("answers 403 to a token that is not for it", () =>
        Effect.flatMap(walked, WalkTokens.holdsTokensToTheirScopes)
      )

      it.effect("answers 404 to a token for other edges, the same as for what was never issued", () =>
        Effect.flatMap(walked, WalkTokens.holdsTokensToTheirEdges)
      )

      it.effect("answers 403 to whose role may not", () =>
        Effect.gen(function* () {
          const api = yield* TestApi
          yield* WalkRoles.holdsToRoles(yield* walked, (role) =>
            Effect.map(api.signIn("roles", { role }), ({ cookie }) => cookie)
          )
        })
      )

      it.effect("shows another tenant nothing in any list", () =>
        Effect.flatMap(walked, Walk.listsNothingOfOthers)
      )

      it.effect("refuses the gateway's paths and upgrades without a session", () =>
        Effect.flatMap(walked, Walk.guardsTheGateway)
      )
    }
  )

suite("memory", Layer.merge(MemoryStorage.layer, SignInSessionsMemory.layer))

suite("SQLite", Layer.unwrap(Effect.map(temporaryFolder, (folder) => layerUrl(`sqlite:${folder}/relay.db`))))

const postgres = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = await PostgresServer.create()
    await server.start()
    return server
  }),
  (server) => Effect.promise(() => server.remove())
)

describe.skipIf(!isInstalled)("with Postgres (needs initdb and postgres)", () => {
  suite("Postgres", Layer.unwrap(Effect.map(postgres, (server) => layerUrl(server.url()))))
})
