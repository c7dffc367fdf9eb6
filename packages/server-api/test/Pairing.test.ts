import { assert, layer } from "@effect/vitest"
import { AuthorizationPending, ExpiredToken, InvalidCode, NotFound } from "@edge-relay/domain/api/Problem"
import { Array, Effect, Exit, Redacted } from "effect"
import { ask, TestApi } from "@edge-relay/testkit/api/TestApi"
import { clientOf } from "@edge-relay/testkit/api/TestClient"

// Tries are limited by address, so that each test comes from one of its own.
const from = (address: string) => ({ "x-forwarded-for": address })

layer(TestApi.layer({ TRUSTED_PROXIES: "127.0.0.1" }), { excludeTestServices: true })("Pairing", (it) => {
  it.effect("gives a code to the signed-in, and a token for it, once", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const alice = yield* api.signIn("alice")
      const client = yield* clientOf(alice.cookie)
      const { code, command, id } = yield* client.pairing.createCode({ payload: { name: "press 4" } })
      assert.match(code, /^[BCDFGHJKLMNPQRSTVWXZ2-9]{4}-[BCDFGHJKLMNPQRSTVWXZ2-9]{4}$/)
      assert.strictEqual(command, `npm run agent -- pair ${code} --url http://relay.localhost:3721`)
      const open = yield* client.pairing.listCodes({ query: {} })
      assert.deepStrictEqual(
        open.items.map((one) => [one.id, one.name]),
        [[id, "press 4"]]
      )

      const edge = yield* clientOf()
      const credentials = yield* edge.edgePairing.exchange({
        payload: { code: code.toLowerCase().replace("-", " ") }
      })
      assert.match(credentials.token, /^ert_[\w-]{43}$/)
      assert.strictEqual(credentials.tunnelUrl, "ws://localhost:3800")
      const known = yield* api.tokens.authenticate(Redacted.make(credentials.token))
      assert.deepStrictEqual([known.edgeId, known.tenantId], [credentials.edgeId, alice.tenantId])
      assert.strictEqual(
        (yield* client.edges.get({ params: { edgeId: credentials.edgeId } })).name,
        "press 4"
      )
      assert.deepStrictEqual((yield* client.pairing.listCodes({ query: {} })).items, [])

      const again = yield* Effect.flip(edge.edgePairing.exchange({ payload: { code } }))
      const unknown = yield* Effect.flip(edge.edgePairing.exchange({ payload: { code: "BCDF-2345" } }))
      assert.instanceOf(again, InvalidCode)
      assert.instanceOf(unknown, InvalidCode)
      assert.strictEqual(again.message, unknown.message)
    })
  )

  it.effect("gives one token to fifty exchanges of one code at once", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const { cookie, tenantId } = yield* api.signIn("fifty")
      const { code } = yield* (yield* clientOf(cookie)).pairing.createCode({ payload: {} })
      const answers = yield* Effect.all(
        Array.makeBy(50, (index) =>
          ask(`${api.url}/api/pairing/exchange`, {
            method: "POST",
            body: { code },
            headers: from(`192.0.2.${index}`)
          })
        ),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(answers.map(({ status }) => status).sort(), [
        201,
        ...Array.makeBy(49, () => 400)
      ])
      assert.strictEqual(yield* api.edges.count(tenantId), 1)
    })
  )

  it.effect("cancels a code, and another tenant's not", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const alice = yield* clientOf((yield* api.signIn("alice")).cookie)
      const bob = yield* clientOf((yield* api.signIn("bob")).cookie)
      const { code, id } = yield* alice.pairing.createCode({ payload: {} })
      assert.instanceOf(yield* Effect.flip(bob.pairing.cancelCode({ params: { id } })), NotFound)
      yield* alice.pairing.cancelCode({ params: { id } })
      assert.instanceOf(yield* Effect.flip(alice.pairing.cancelCode({ params: { id } })), NotFound)
      const edge = yield* clientOf()
      assert.instanceOf(yield* Effect.flip(edge.edgePairing.exchange({ payload: { code } })), InvalidCode)
    })
  )

  it.effect("pairs what asked to be paired, once somebody has approved it", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const { cookie, tenantId } = yield* api.signIn("alice")
      const alice = yield* clientOf(cookie)
      const edge = yield* clientOf()
      const begun = yield* edge.edgePairing.beginRequest({
        payload: { hostname: "box-7" }
      })
      assert.strictEqual(begun.verificationUri, "http://relay.localhost:3721/pair")
      assert.strictEqual(begun.verificationUriComplete, `${begun.verificationUri}?code=${begun.userCode}`)
      const poll = edge.edgePairing.pollRequest({ payload: { deviceCode: begun.deviceCode } })
      assert.instanceOf(yield* Effect.flip(poll), AuthorizationPending)

      const params = { userCode: begun.userCode.toLowerCase() }
      const asking = yield* alice.pairing.getRequest({ params })
      assert.deepStrictEqual([asking.hostname, asking.userCode], ["box-7", begun.userCode])
      yield* alice.pairing.approveRequest({ params })
      assert.instanceOf(yield* Effect.flip(alice.pairing.approveRequest({ params })), NotFound)
      assert.instanceOf(yield* Effect.flip(alice.pairing.getRequest({ params })), NotFound)

      const { edgeId } = yield* poll
      assert.strictEqual((yield* api.edges.get(tenantId, edgeId)).name, "box-7")
      assert.instanceOf(yield* Effect.flip(poll), ExpiredToken)
    })
  )

  it.effect("tells where a machine asked from, how long ago, and its names as what they are", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const { cookie } = yield* api.signIn("alice")
      const began = Date.now()
      const begun = yield* ask(`${api.url}/api/pairing/requests`, {
        method: "POST",
        body: { hostname: "box-7", name: "b\u043ex\u200b7" },
        // As Azure's gateway writes it.
        headers: from("203.0.113.9:4711")
      })
      const { userCode } = JSON.parse(begun.body)
      const asking = yield* (yield* clientOf(cookie)).pairing.getRequest({ params: { userCode } })
      assert.strictEqual(asking.address, "203.0.113.9")
      assert.isAtLeast(asking.ageSeconds, 0)
      assert.isAtMost(asking.ageSeconds, Math.ceil((Date.now() - began) / 1000))
      assert.deepStrictEqual(asking.shown, { hostname: "box-7", name: "b\u043e[U+043E]x[U+200B]7" })
    })
  )

  it.effect("takes no name that could be shown as another one, or that a terminal obeys", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const { cookie, tenantId } = yield* api.signIn("alice")
      const edge = yield* api.edges.create(tenantId, { name: "an edge" })
      const marks = [0x00, 0x07, 0x0a, 0x1b, 0x7f, 0x85, 0x9b, 0x061c, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a]
      for (const [index, mark] of [...marks, 0x202e, 0x2066, 0x2069].entries()) {
        const text = `box${String.fromCodePoint(mark)}7`
        const send = (method: string, path: string, body: unknown) =>
          ask(`${api.url}/api/${path}`, { method, body, cookie, headers: from(`198.51.100.${index}`) })
        for (const [answer, path] of [
          [yield* send("POST", "pairing/requests", { hostname: text }), "hostname"],
          [yield* send("POST", "pairing/requests", { hostname: "box", name: text }), "name"],
          [yield* send("POST", "pairing/exchange", { code: "BCDF-2345", hostname: text }), "hostname"],
          [yield* send("POST", "pairing/exchange", { code: "BCDF-2345", name: text }), "name"],
          [yield* send("POST", "pairing/codes", { name: text }), "name"],
          [yield* send("PATCH", `edges/${edge.id}`, { name: text }), "name"]
        ] as const) {
          assert.strictEqual(answer.status, 400, JSON.stringify(text))
          assert.include(answer.body, `"path":"${path}"`)
          assert.include(answer.body, "control characters")
        }
      }
      const fine = "Größe 大きさ حجم 👩‍🏭 n°7"
      const renamed = yield* ask(`${api.url}/api/edges/${edge.id}`, {
        method: "PATCH",
        cookie,
        body: { name: fine }
      })
      assert.strictEqual(renamed.status, 200, renamed.body)
    })
  )

  it.effect("denies what asked to be paired, and says so", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const alice = yield* clientOf((yield* api.signIn("alice")).cookie)
      const edge = yield* clientOf()
      const begun = yield* edge.edgePairing.beginRequest({ payload: { hostname: "box-8", name: "a name" } })
      yield* alice.pairing.denyRequest({ params: { userCode: begun.userCode } })
      const refused = yield* Effect.flip(
        edge.edgePairing.pollRequest({ payload: { deviceCode: begun.deviceCode } })
      )
      assert.strictEqual(refused._tag, "access_denied")
    })
  )

  it.effect("takes no more wrong codes at once than one after another", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const answers = yield* Effect.all(
        Array.makeBy(50, () =>
          ask(`${url}/api/pairing/exchange`, {
            method: "POST",
            body: { code: "BCDF-2345" },
            headers: from("198.51.100.50")
          })
        ),
        { concurrency: "unbounded" }
      )
      const refused = answers.filter(({ status }) => status === 429)
      assert.strictEqual(answers.filter(({ status }) => status === 400).length, 10)
      assert.strictEqual(refused.length, 40)
      for (const { headers } of refused) assert.match(headers["retry-after"] ?? "", /^\d+$/)
    })
  )

  it.effect("pairs a whole fleet behind one address in a minute: what is right is not counted", () =>
    Effect.gen(function* () {
      const { edges, signIn, url } = yield* TestApi
      const { cookie, tenantId } = yield* signIn("fleet")
      const client = yield* clientOf(cookie)
      const codes = yield* Effect.all(
        Array.makeBy(40, () => client.pairing.createCode({ payload: {} })),
        { concurrency: 4 }
      )
      const exchange = (code: string) =>
        ask(`${url}/api/pairing/exchange`, { method: "POST", body: { code }, headers: from("198.51.100.60") })
      const answers = yield* Effect.all(
        codes.flatMap(({ code }, index) =>
          index < 9 ? [exchange(code), exchange("BCDF-2345")] : [exchange(code)]
        ),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        [201, 400, 429].map((status) => answers.filter((answer) => answer.status === status).length),
        [40, 9, 0]
      )
      assert.strictEqual(yield* edges.count(tenantId), 40)
    })
  )

  it.effect("takes thirty wrong user codes a minute from a person, and sixty from an address", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const edge = yield* clientOf()
      const { userCode } = yield* edge.edgePairing.beginRequest({ payload: { hostname: "box" } })
      const path = (code: string, verb: string) => `${api.url}/api/pairing/requests/${code}${verb}`
      const first = yield* api.signIn("guesses")
      const at = (cookie: string, address: string, code: string, verb = "") =>
        Effect.map(
          ask(path(code, verb), { method: verb === "" ? "GET" : "POST", cookie, headers: from(address) }),
          ({ status }) => status
        )
      for (let tries = 0; tries < 30; tries++) {
        // A right one in between is no guess.
        assert.strictEqual(yield* at(first.cookie, "198.51.100.71", userCode), 200)
        const verb = ["", "/approve", "/deny"][tries % 3]
        assert.strictEqual(yield* at(first.cookie, "198.51.100.71", "ZZZZ-9999", verb), 404)
      }
      for (const verb of ["", "/approve", "/deny"]) {
        // The person is refused everywhere, and even a right code.
        assert.strictEqual(yield* at(first.cookie, "198.51.100.72", "ZZZZ-9999", verb), 429)
        assert.strictEqual(yield* at(first.cookie, "198.51.100.71", userCode, verb), 429)
      }
      const second = yield* api.signIn("guesses too")
      for (let tries = 0; tries < 30; tries++) {
        assert.strictEqual(yield* at(second.cookie, "198.51.100.71", "ZZZZ-9999"), 404)
      }
      const third = yield* api.signIn("guesses as well")
      assert.strictEqual(yield* at(third.cookie, "198.51.100.71", "ZZZZ-9999"), 429)
      assert.strictEqual(yield* at(third.cookie, "198.51.100.73", userCode, "/approve"), 204)
    })
  )

  it.effect(
    "takes sixty polls for nothing a minute from an address, and slows down one that comes too soon",
    () =>
      Effect.gen(function* () {
        const { url } = yield* TestApi
        const poll = (deviceCode: string, address: string) =>
          ask(`${url}/api/pairing/requests/poll`, {
            method: "POST",
            body: { deviceCode },
            headers: from(address)
          })
        const { deviceCode } = yield* (yield* clientOf()).edgePairing.beginRequest({
          payload: { hostname: "box" }
        })
        const codeOf = ({ json }: { readonly json: unknown }) => Object(json).code
        assert.strictEqual(codeOf(yield* poll(deviceCode, "198.51.100.81")), "authorization_pending")
        assert.strictEqual(codeOf(yield* poll(deviceCode, "198.51.100.81")), "slow_down")
        for (let tries = 0; tries < 59; tries++) {
          assert.strictEqual(codeOf(yield* poll("not-a-code", "198.51.100.81")), "expired_token")
        }
        assert.strictEqual(codeOf(yield* poll("not-a-code", "198.51.100.81")), "too_many_requests")
        assert.strictEqual(codeOf(yield* poll(deviceCode, "198.51.100.81")), "too_many_requests")
        assert.strictEqual(codeOf(yield* poll(deviceCode, "198.51.100.82")), "slow_down")
      })
  )

  it.effect("takes ten wrong codes a minute from an address, and says when to come again", () =>
    Effect.gen(function* () {
      const { url } = yield* TestApi
      const attempt = (address: string) =>
        ask(`${url}/api/pairing/exchange`, {
          method: "POST",
          body: { code: "BCDF-2345" },
          headers: from(address)
        })
      // An IPv6 subscriber has a /64, and is counted as one.
      for (const [first, neighbour, other] of [
        ["198.51.100.1", "198.51.100.1", "198.51.100.2"],
        ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"]
      ] as const) {
        for (let tries = 0; tries < 10; tries++) assert.strictEqual((yield* attempt(first)).status, 400)
        const refused = yield* attempt(neighbour)
        assert.strictEqual(refused.status, 429)
        const seconds = Number(refused.headers["retry-after"])
        assert.isTrue(seconds >= 1 && seconds <= 60, String(seconds))
        assert.strictEqual((yield* attempt(other)).status, 400)
      }
    })
  )

  it.effect("believes an address only from a proxy that it trusts, and only what that proxy wrote", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const { cookie } = yield* api.signIn("address")
      yield* ask(`${api.url}/api/pairing/codes`, {
        method: "POST",
        cookie,
        body: {},
        headers: from("10.9.9.9, 203.0.113.5, 127.0.0.1")
      })
      const { items } = yield* (yield* clientOf(cookie)).audit.list({
        query: { action: "pairing.code_created" }
      })
      assert.strictEqual(items[0]?.address, "203.0.113.5")
    })
  )

  it.effect("writes down who did what, from where, and never a code or a token", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const { cookie, session } = yield* api.signIn("audited")
      const client = yield* clientOf(cookie)
      const { code } = yield* client.pairing.createCode({ payload: { name: "an edge" } })
      const { edgeId, token } = yield* (yield* clientOf()).edgePairing.exchange({ payload: { code } })
      const { items } = yield* client.audit.list({ query: {} })
      assert.deepStrictEqual(
        items.map(({ action, actor, outcome }) => [action, actor, outcome]),
        [
          ["pairing.exchanged", edgeId, "success"],
          ["pairing.code_created", session.userId, "success"]
        ]
      )
      for (const { address, requestId } of items) {
        assert.strictEqual(address, "127.0.0.1")
        assert.isNotNull(requestId)
      }
      const text = JSON.stringify(items)
      for (const secret of [code, code.replace("-", ""), token, cookie]) assert.notInclude(text, secret)
      const others = yield* clientOf((yield* api.signIn("somebody else")).cookie)
      assert.deepStrictEqual((yield* others.audit.list({ query: {} })).items, [])
    })
  )

  it.effect("limits codes by tenant", () =>
    Effect.gen(function* () {
      const api = yield* TestApi
      const client = yield* clientOf((yield* api.signIn("greedy")).cookie)
      const made = yield* Effect.all(
        Array.makeBy(61, () => Effect.exit(client.pairing.createCode({ payload: {} })))
      )
      assert.deepStrictEqual(made.map(Exit.isSuccess), [...Array.makeBy(60, () => true), false])
    })
  )
})
