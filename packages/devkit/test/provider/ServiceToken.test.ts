import { Browser } from "@edge-relay/testkit/auth/Browser"
import { listening, serve } from "@edge-relay/testkit/auth/TestServer"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { developmentSecret, serviceClient } from "../../src/provider/Configuration.ts"
import { ProviderServer } from "../../src/provider/ProviderServer.ts"

/** Access tokens of a real provider's client_credentials grant, over real HTTP. */
const audience = "urn:edge-relay:api"

const start = Effect.fnUntraced(function* (serviceAudience?: string, accessTokenSeconds = 3600) {
  const socket = yield* listening
  const provider = yield* Layer.build(
    ProviderServer.layer({ publicUrl: socket.origin, port: 0, accessTokenSeconds })
  ).pipe(Effect.map((context) => Context.get(context, ProviderServer)))
  const server = yield* serve(socket, {
    issuer: provider.issuer,
    tenantClaim: "tenant",
    ...(serviceAudience === undefined ? {} : { serviceAudience })
  })
  const tokenFor = (resource: string, scope = "edges:read gateway") =>
    Effect.promise(async () => {
      const body = new URLSearchParams({
        grant_type: "client_credentials",
        client_id: serviceClient,
        client_secret: developmentSecret,
        resource,
        scope
      })
      const answer = await fetch(new URL("/token", provider.issuer), { method: "POST", body })
      const { access_token: token } = await answer.json()
      assert.match(token, /^eyJ/)
      return String(token)
    })
  const me = (token: string) =>
    Effect.map(
      new Browser().fetch(new URL("/api/auth/me", server.publicUrl), {
        headers: { authorization: `Bearer ${token}`, accept: "application/json" }
      }),
      ({ body, status }) => ({ status, json: body === "" ? undefined : JSON.parse(body) })
    )
  return { ...server, provider, me, tokenFor }
})

describe("a service's access token of the provider", () => {
  it.live("is who the client is, in the tenant of the claim, for the scopes that it was given", () =>
    Effect.gen(function* () {
      const { me, tokenFor } = yield* start(audience)
      const { json, status } = yield* me(yield* tokenFor(audience))
      assert.strictEqual(status, 200)
      assert.strictEqual(json.user.subject, serviceClient)
      assert.strictEqual(json.session, null)
      assert.deepStrictEqual(json.token.scopes, ["edges:read", "gateway"])
      const again = yield* me(yield* tokenFor(audience, "gateway"))
      assert.strictEqual(again.json.tenant.id, json.tenant.id)
      assert.deepStrictEqual(again.json.token.scopes, ["gateway"])
    })
  )

  it.live("is refused where no audience is set, for another one, and changed in any part", () =>
    Effect.gen(function* () {
      const none = yield* start()
      assert.strictEqual((yield* none.me(yield* none.tokenFor(audience))).status, 401)
      const { me, tokenFor } = yield* start(audience)
      assert.strictEqual((yield* me(yield* tokenFor("urn:somebody:else"))).status, 401)
      const token = yield* tokenFor(audience)
      const [head = "", , signature = ""] = token.split(".")
      const claims = {
        ...JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()),
        tenant: "x"
      }
      const forged = [head, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".")
      assert.strictEqual((yield* me(forged)).status, 401)
      const plain = Buffer.from(JSON.stringify({ alg: "none", typ: "at+jwt" })).toString("base64url")
      assert.strictEqual((yield* me([plain, token.split(".")[1], ""].join("."))).status, 401)
    })
  )

  it.live("of another provider is not ours at all", () =>
    Effect.gen(function* () {
      const ours = yield* start(audience)
      const theirs = yield* start(audience)
      assert.strictEqual((yield* ours.me(yield* theirs.tokenFor(audience))).status, 401)
    })
  )
})
