import { assert, layer } from "@effect/vitest"
import { type EdgeSession, EdgeView } from "@edge-relay/domain/api/Edges"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"
import { Effect, Schema } from "effect"

const domain = "edges.test:3721"
const browser = { accept: "text/html", "sec-fetch-mode": "navigate" }
const challenge = "c".repeat(43)

const enter = (
  url: string,
  host: string,
  options: { cookie?: string; after?: boolean; headers?: object } = {}
) => {
  const query = new URLSearchParams({ host, attempt: "aaaaaaaa", challenge })
  if (options.after === true) query.set("after", "sign-in")
  return ask(`${url}/api/auth/edge?${query.toString()}`, {
    cookie: options.cookie,
    headers: { ...browser, ...options.headers }
  })
}

const decodeEdge = Schema.decodeUnknownSync(Schema.toCodecJson(EdgeView))

const setUp = Effect.gen(function* () {
  const api = yield* TestApi
  const { cookie, tenantId } = yield* api.signIn("alice")
  const { id } = yield* api.edges.create(tenantId, { name: "an edge" })
  return { api, url: api.url, cookie, id, tenantId, host: `${id.slice("edge_".length)}.${domain}` }
})

layer(TestApi.layer({ EDGE_DOMAIN: domain }), { excludeTestServices: true })(
  "The way to an edge's host",
  (it) => {
    it.effect("is each edge's url", () =>
      Effect.gen(function* () {
        const { cookie, host, id, url } = yield* setUp
        const edge = decodeEdge((yield* ask(`${url}/api/edges/${id}`, { cookie })).json)
        assert.strictEqual(edge.url, `http://${host}/`)
      })
    )

    it.effect("is the url of each of its services that speaks HTTP", () =>
      Effect.gen(function* () {
        const { api, cookie, host, id, tenantId, url } = yield* setUp
        const origin = "http://nas.local:8080"
        yield* api.connect(tenantId, id, {
          services: ["http", "nas", "ssh"],
          localServers: { nas: { origin, hostHeader: "local" } }
        })
        const expected: (typeof EdgeSession.Type)["services"] = [
          { name: "http", url: `http://${host}/`, hostHeader: null },
          { name: "nas", url: `http://nas--${host}/`, hostHeader: "local" },
          { name: "ssh", url: null, hostHeader: null }
        ]
        const { body, json } = yield* ask(`${url}/api/edges/${id}`, { cookie })
        assert.deepStrictEqual(decodeEdge(json).session?.services, expected)
        // Where it lies in the edge's network is the edge's own business.
        assert.notInclude(body, "nas.local")
      })
    )

    it.effect("leads whoever is signed in there with a ticket, and says nothing of the session", () =>
      Effect.gen(function* () {
        const { cookie, host, url } = yield* setUp
        const answer = yield* enter(url, host.toUpperCase(), { cookie })
        assert.strictEqual(answer.status, 302)
        const location = new URL(answer.headers.location ?? "")
        assert.strictEqual(location.origin + location.pathname, `http://${host}/.edge-relay/ticket`)
        assert.notInclude(location.href, cookie.split(".")[1] ?? "")
        assert.strictEqual(answer.headers["cache-control"], "no-store")
        assert.strictEqual(answer.headers["referrer-policy"], "no-referrer")
        assert.notStrictEqual((yield* enter(url, host, { cookie })).headers.location, location.href)
      })
    )

    it.effect("is none for a HEAD, which gives nobody a ticket", () =>
      Effect.gen(function* () {
        const { cookie, host, url } = yield* setUp
        const query = new URLSearchParams({ host, attempt: "aaaaaaaa", challenge })
        const answer = yield* ask(`${url}/api/auth/edge?${query.toString()}`, {
          method: "HEAD",
          cookie,
          headers: browser
        })
        assert.strictEqual(answer.status, 405)
        assert.strictEqual(answer.headers["allow"], "GET")
        assert.isUndefined(answer.headers.location)
      })
    )

    it.effect(
      "leads others to sign in first, and from there on by a page: a form's policy may know no edge",
      () =>
        Effect.gen(function* () {
          const { cookie, host, url } = yield* setUp
          const { headers, status } = yield* enter(url, host)
          assert.strictEqual(status, 302)
          const returnTo = new URL(headers.location ?? "", url).searchParams.get("returnTo") ?? ""
          assert.match(returnTo, /^\/api\/auth\/edge\?.*&after=sign-in$/)
          const page = yield* ask(url + returnTo, { cookie, headers: browser })
          assert.strictEqual(page.status, 200)
          assert.match(
            String(page.headers["refresh"]),
            new RegExp(`^0; url=http://${host}/.edge-relay/ticket\\?`)
          )
        })
    )

    it.effect("ends with a page where the sign-in left no session: no browser goes round for ever", () =>
      Effect.gen(function* () {
        const { host, url } = yield* setUp
        const answer = yield* enter(url, host, { after: true })
        assert.strictEqual(answer.status, 400)
        assert.include(answer.body, "You are not signed in")
      })
    )

    it.effect("is the same for another tenant's edge as for one that never was", () =>
      Effect.gen(function* () {
        const { api, host, url } = yield* setUp
        const { cookie } = yield* api.signIn("bob")
        const theirs = yield* enter(url, host, { cookie })
        const nobodys = yield* enter(url, `${"0".repeat(26)}.${domain}`, { cookie })
        assert.deepStrictEqual([theirs.status, theirs.body], [404, nobodys.body])
      })
    )

    it.effect("leads to no host but an edge's", () =>
      Effect.gen(function* () {
        const { cookie, host, url } = yield* setUp
        for (const other of ["evil.test", domain, `evil.test/${host}`, `${host}.evil.test`, `a.${host}`]) {
          const answer = yield* enter(url, other, { cookie })
          assert.deepStrictEqual([answer.status, answer.headers.location], [404, undefined], other)
        }
      })
    )

    it.effect("is for navigations alone", () =>
      Effect.gen(function* () {
        const { cookie, host, url } = yield* setUp
        const answer = yield* enter(url, host, { cookie, headers: { "sec-fetch-mode": "cors" } })
        assert.strictEqual(answer.status, 400)
        assert.propertyVal(answer.json, "code", "invalid_request")
      })
    )
  }
)

layer(TestApi.layer(), { excludeTestServices: true })("Without EDGE_DOMAIN", (it) => {
  it.effect("no edge has a host", () =>
    Effect.gen(function* () {
      const { cookie, host, id, url } = yield* setUp
      assert.isNull(decodeEdge((yield* ask(`${url}/api/edges/${id}`, { cookie })).json).url)
      assert.strictEqual((yield* enter(url, host, { cookie })).status, 404)
    })
  )
})
