import { randomBytes } from "node:crypto"
import { describe, it } from "@effect/vitest"
import type { Walked } from "@edge-relay/testkit/contract/EveryEndpoint"
import * as Walk from "@edge-relay/testkit/contract/EveryEndpointContract"
import * as WalkTokens from "@edge-relay/testkit/contract/EveryEndpointTokens"
import { Program, until } from "@edge-relay/testkit/Program"
import { addresses, folder, signIn } from "@edge-relay/testkit/RelaySystem"
import { Effect } from "effect"

/** What a system is made of besides the provider, started as in production. */
const compositions = {
  "the two servers": ["server-proxy/src", "server-api/src"],
  "one server": ["server-all/src"]
}

/** The real processes, and people who sign in through the provider's page. */
const system = Effect.fnUntraced(function* (servers: ReadonlyArray<string>) {
  const { at } = yield* Effect.acquireRelease(
    Effect.promise(async () => {
      const stack = new AsyncDisposableStack()
      const home = stack.use(await folder())
      const at = await addresses()
      const env = {
        ...at.env,
        PUBLIC_URL: at.api,
        TUNNEL_URL: at.tunnel,
        PROXY_INTERNAL_URL: at.internal,
        INTERNAL_KEY: randomBytes(32).toString("base64"),
        SESSION_KEYS: randomBytes(32).toString("base64"),
        OIDC_ISSUER: at.provider,
        OIDC_CLIENT_ID: "edge-relay",
        DATABASE_URL: `sqlite:${home.path}/relay.db`
      }
      for (const script of ["devkit/src/provider", ...servers]) {
        stack.use(new Program(`packages/${script}/main.ts`, [], env, home.path))
      }
      await until(
        async () => (await fetch(`${at.api}/readyz`)).status,
        (status) => status === 200
      )
      return { at, stack }
    }),
    ({ stack }) => Effect.promise(() => stack.disposeAsync())
  )
  const sessionCookie = (all: string) => all.split("; ").find((pair) => pair.startsWith("session=")) ?? ""
  return {
    url: at.api,
    signIn: (person) =>
      Effect.map(
        Effect.promise(() => signIn(at.api, person)),
        // The provider is on the same host, and its cookies are in the same jar.
        (browser) => sessionCookie(browser.cookieFor(at.api))
      )
  } satisfies Walked
})

describe.each(Object.entries(compositions))("every endpoint of %s", (_name, servers) => {
  it.live("is for the signed-in alone, and for each tenant its own", () =>
    Effect.gen(function* () {
      const walked = yield* system(servers)
      for (const sentBy of Object.values(Walk.withoutSession)) {
        yield* Walk.refuses(walked, yield* sentBy(walked))
      }
      yield* Walk.hidesFromOthers(walked)
      yield* WalkTokens.holdsTokensToTheirScopes(walked)
      yield* WalkTokens.holdsTokensToTheirEdges(walked)
      yield* Walk.listsNothingOfOthers(walked)
      yield* Walk.guardsTheGateway(walked)
    })
  )
})
