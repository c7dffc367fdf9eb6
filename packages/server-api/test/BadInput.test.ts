import { assert, layer } from "@effect/vitest"
import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { Effect, Option, Schema } from "effect"
import { type Answer, ask, type Person, TestApi } from "@edge-relay/testkit/api/TestApi"

/**
 * For every endpoint: what its schema makes, broken in each way that comes to mind, is refused by a problem that
 * names what is wrong, and changes nothing.
 */

interface Endpoint {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly params: Fields
  readonly query: Fields
  readonly payload: Option.Option<{
    readonly contentType: string
    readonly schema: Schema.Codec<unknown, unknown>
  }>
}

type Fields = { readonly [name: string]: Schema.Codec<unknown, unknown> }

/** An endpoint has the codecs of its structs, which their widest types do not say. */
const fieldsOf = (codec: unknown): Fields =>
  (codec as { readonly schema?: { readonly fields?: Fields } } | undefined)?.schema?.fields ?? {}

const endpoints: ReadonlyArray<Endpoint> = Object.values(CloudApi.groups).flatMap((group) =>
  Object.values(group.endpoints).map((endpoint) => {
    const [payload] = Array.from(endpoint.payload, ([contentType, { schemas }]) => ({
      contentType,
      schema: schemas[0] as Schema.Codec<unknown, unknown>
    }))
    return {
      name: `${endpoint.method} ${endpoint.path}`,
      method: String(endpoint.method),
      path: endpoint.path,
      params: fieldsOf(endpoint.params),
      query: fieldsOf(endpoint.query),
      payload: Option.fromUndefinedOr(payload)
    }
  })
)

interface Broken {
  readonly body: string | Uint8Array
  readonly status: number
  /** The field that the answer must name; undefined where the whole body is wrong. */
  readonly path?: string
  readonly contentType?: string
}

/** A body that the endpoint understands, in every way that it should not. */
const breakages = (valid: { readonly [key: string]: unknown }, fields: Fields): ReadonlyArray<Broken> => {
  const broken: Array<Broken> = [
    { body: "", status: 400 },
    { body: "{", status: 400 },
    { body: "[]", status: 400 },
    { body: "null", status: 400 },
    { body: '"text"', status: 400 },
    { body: "1e999", status: 400 },
    { body: JSON.stringify({ ...valid, surprise: 1 }), status: 400, path: "surprise" },
    { body: JSON.stringify({ ...valid, toString: 1 }), status: 400, path: "toString" },
    { body: withText(valid, '"__proto__":{"name":"x"}'), status: 400, path: "__proto__" },
    { body: withText(valid, '"constructor":{"prototype":{}}'), status: 400, path: "constructor" },
    { body: withText(valid, '"again":1,"again":2'), status: 400, path: "again" },
    { body: withText(valid, `"deep":${"[".repeat(10_000)}${"]".repeat(10_000)}`), status: 400 },
    { body: Buffer.from(withText(valid, '"bytes":"\xff\xfe"'), "latin1"), status: 400 },
    { body: JSON.stringify({ ...valid, padding: "x".repeat(10 * 1024 * 1024) }), status: 413 },
    { body: JSON.stringify(valid), status: 415, contentType: "text/plain" },
    { body: JSON.stringify(valid), status: 415, contentType: "application/x-www-form-urlencoded" },
    { body: JSON.stringify(valid), status: 415, contentType: "multipart/form-data; boundary=x" }
  ]
  for (const [path, schema] of Object.entries(fields)) {
    const wrong = [
      null,
      true,
      42,
      -1,
      1e308,
      {},
      { a: 1 },
      [[]],
      ["\u0000"],
      "",
      "x".repeat(100_000),
      "\u0000",
      " x "
    ]
    const isGood = Schema.is(Schema.toType(schema))
    for (const value of wrong) {
      if (isGood(value)) continue
      broken.push({ body: JSON.stringify({ ...valid, [path]: value }), status: 400, path })
    }
    broken.push({ body: withText(omit(valid, path), `"${path}":1e999`), status: 400, path })
    broken.push({ body: withText(omit(valid, path), `"${path}":"a","${path}":"b"`), status: 400, path })
    if (!isOptional(schema)) broken.push({ body: JSON.stringify(omit(valid, path)), status: 400, path })
  }
  return broken
}

const isOptional = (schema: Schema.Codec<unknown, unknown>): boolean =>
  schema.ast.context?.isOptional === true

const omit = (value: { readonly [key: string]: unknown }, key: string) =>
  Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))

/** Puts text into an object that `JSON.stringify` would not write. */
const withText = (value: { readonly [key: string]: unknown }, text: string): string => {
  const json = JSON.stringify(value).slice(1, -1)
  return `{${json}${json === "" ? "" : ","}${text}}`
}

/** Values for a path or a query, each good for some and wrong for others. */
const texts = [
  "",
  " ",
  "0",
  "-1",
  "201",
  "1e3",
  "1e999",
  "99999999999999999999",
  "true",
  "{}",
  "\u0000",
  "💥",
  "x".repeat(600),
  "../..",
  "%",
  "edge_",
  "a\u0301"
]

const mentions = (answer: Answer, path: string): boolean => {
  const problem = answer.json as { readonly errors?: ReadonlyArray<{ readonly path: string }> }
  return problem.errors?.some((error) => error.path === path || error.path.startsWith(`${path}.`)) === true
}

const assertRefused = (answer: Answer, what: string) => {
  assert.isTrue(answer.status >= 400 && answer.status < 500, `${what}: ${answer.status} ${answer.body}`)
  assert.match(answer.headers["content-type"] ?? "", /^application\/problem\+json/, what)
}

/** Everything of a tenant that a request could change. */
const stateOf = (person: Person) =>
  Effect.gen(function* () {
    const api = yield* TestApi
    const get = (path: string) =>
      Effect.map(ask(api.url + path, { cookie: person.cookie }), ({ body }) => body)
    return yield* Effect.forEach(
      ["/api/edges", "/api/pairing/codes", "/api/audit", "/api/auth/me?slide=false"],
      get
    )
  })

// Each request comes from an address of its own, and each run from another person: no limit answers for a rule.
let people = 0
let asked = 0
const anotherAddress = () => ({
  "x-forwarded-for": `10.${(asked++ >> 16) & 255}.${(asked >> 8) & 255}.${asked & 255}`
})

layer(TestApi.layer({ TRUSTED_PROXIES: "127.0.0.1" }), { excludeTestServices: true })("Bad input", (it) => {
  const setUp = Effect.gen(function* () {
    const api = yield* TestApi
    const alice = yield* api.signIn(`alice ${people++}`)
    const { id: edgeId } = yield* api.edges.create(alice.tenantId, { name: "an edge" })
    const fill = (path: string) =>
      path.replace(":edgeId", edgeId).replace(":id", alice.session.id).replace(":userCode", "BCDF-2345")
    return { ...api, alice, fill }
  })

  for (const endpoint of endpoints) {
    const { contentType, schema } = Option.getOrElse(endpoint.payload, () => ({
      contentType: "",
      schema: undefined
    }))
    if (contentType !== "application/json" || schema === undefined) continue
    it.effect.prop(
      `in the body of ${endpoint.name} is refused, named, and changes nothing`,
      [schema],
      ([valid]) =>
        Effect.gen(function* () {
          const { alice, fill, url } = yield* setUp
          const before = yield* stateOf(alice)
          assert.isNotEmpty(Object.keys(fieldsOf(schema)))
          // A struct, whose values are objects.
          for (const broken of breakages(valid as { readonly [key: string]: unknown }, fieldsOf(schema))) {
            const what = `${endpoint.name} ${broken.body.toString().slice(0, 120)}`
            const answer = yield* ask(url + fill(endpoint.path), {
              method: endpoint.method,
              cookie: alice.cookie,
              body: broken.body,
              headers: { ...anotherAddress(), "content-type": broken.contentType ?? "application/json" }
            })
            assertRefused(answer, what)
            assert.strictEqual(answer.status, broken.status, what)
            if (broken.path !== undefined)
              assert.isTrue(mentions(answer, broken.path), `${what}: ${answer.body}`)
          }
          assert.deepStrictEqual(yield* stateOf(alice), before)
        }),
      { arbitrary: { runs: 3 }, timeout: 60_000 }
    )

    it.effect.prop(
      `that is any JSON at all never makes ${endpoint.name} fail`,
      [Schema.Json],
      ([json]) =>
        Effect.gen(function* () {
          const { alice, fill, url } = yield* setUp
          const answer = yield* ask(url + fill(endpoint.path), {
            method: endpoint.method,
            cookie: alice.cookie,
            body: JSON.stringify(json),
            headers: anotherAddress()
          })
          if (!Schema.is(Schema.toType(schema))(json)) assertRefused(answer, JSON.stringify(json))
          assert.isBelow(answer.status, 500)
        }),
      { arbitrary: { runs: 30 } }
    )
  }

  it.effect("in a query or a path is refused, named, and changes nothing", () =>
    Effect.gen(function* () {
      const { alice, fill, url } = yield* setUp
      const before = yield* stateOf(alice)
      let tried = 0
      for (const endpoint of endpoints) {
        const send = (path: string) =>
          ask(url + path, { method: endpoint.method, cookie: alice.cookie, headers: anotherAddress() })
        for (const [name, schema] of Object.entries(endpoint.query)) {
          const decode = Schema.decodeUnknownOption(schema)
          for (const text of texts) {
            if (Option.isSome(decode(text))) continue
            const what = `${endpoint.name}?${name}=${text.slice(0, 20)}`
            const answer = yield* send(`${fill(endpoint.path)}?${name}=${encodeURIComponent(text)}`)
            assertRefused(answer, what)
            assert.isTrue(mentions(answer, name), `${what}: ${answer.body}`)
            tried++
          }
        }
        for (const [name, schema] of Object.entries(endpoint.params)) {
          const decode = Schema.decodeUnknownOption(schema)
          for (const text of texts) {
            if (Option.isSome(decode(text)) || text === "") continue
            const path = endpoint.path.replace(`:${name}`, encodeURIComponent(text))
            const answer = yield* send(fill(path))
            assertRefused(answer, `${endpoint.name} ${path}`)
            tried++
          }
        }
      }
      assert.isAbove(tried, 100)
      assert.deepStrictEqual(yield* stateOf(alice), before)
    })
  )

  it.effect("of 10 MiB is refused by every endpoint that a body could be sent to", () =>
    Effect.gen(function* () {
      const { alice, fill, url } = yield* setUp
      const before = yield* stateOf(alice)
      const body = Buffer.alloc(10 * 1024 * 1024, "x")
      for (const { method, name, path } of endpoints.filter(({ method }) => method !== "GET")) {
        const answer = yield* ask(url + fill(path), {
          method,
          cookie: alice.cookie,
          body,
          headers: anotherAddress()
        })
        assert.strictEqual(answer.status, 413, name)
        assertRefused(answer, name)
      }
      assert.deepStrictEqual(yield* stateOf(alice), before)
    })
  )

  it.effect("in a sign-out notice is refused", () =>
    Effect.gen(function* () {
      const { url } = yield* setUp
      const send = (body: string | Uint8Array, contentType = "application/x-www-form-urlencoded") =>
        ask(`${url}/api/auth/backchannel-logout`, {
          method: "POST",
          body,
          headers: { ...anotherAddress(), "content-type": contentType }
        })
      assert.strictEqual((yield* send("")).status, 400)
      assert.strictEqual((yield* send("logout_token=a&logout_token=b")).status, 400)
      assert.strictEqual((yield* send('{"logout_token":"a"}', "application/json")).status, 415)
      assert.strictEqual((yield* send(Buffer.from("logout_token=\xff", "latin1"))).status, 400)
      for (const body of ["", "logout_token=a&logout_token=b"]) {
        assert.isTrue(mentions(yield* send(body), "logout_token"), body)
      }
    })
  )
})
