import { assert, describe, it } from "@effect/vitest"
import { digest, EdgeHostSeal } from "@edge-relay/auth/edge-host/EdgeHostSeal"
import * as EdgeHost from "@edge-relay/domain/edges/EdgeHost"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import {
  type Answer,
  type Ask,
  ask,
  code,
  eventually,
  httpOrigin,
  olderSessionKey,
  sendRaw,
  sessionKey,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"
import { Context, Effect, Layer, Option, type Redacted } from "effect"

const edgeDomain = "edges.test:3721"
const layer = TestGateway.layer({ edgeDomain })

const hostOf = (edgeId: EdgeId, service = "http") =>
  Option.getOrElse(EdgeHost.of(edgeDomain, { edgeId, service }), () => "")

const sealWith = (...keys: ReadonlyArray<Redacted.Redacted<Uint8Array>>) =>
  Effect.map(Layer.build(EdgeHostSeal.layer({ keys })), (built) => Context.get(built, EdgeHostSeal))

/** The secret of the harness's signed-in person, as the cookie of our origin has it. */
const idOf = (cookie: string) => cookie.split(".")[1] ?? ""

const navigation = ["Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"]

const page = Effect.gen(function* () {
  const gateway = yield* TestGateway
  const seen: Array<{ readonly method: string; readonly url: string; readonly raw: ReadonlyArray<string> }> =
    []
  const port = yield* httpOrigin((request, response) => {
    seen.push({ method: request.method ?? "", url: request.url ?? "", raw: request.rawHeaders })
    response.writeHead(200, [
      "Set-Cookie",
      "app=1; Path=/; Domain=edges.test; HttpOnly",
      "Set-Cookie",
      "edge-relay-session=planted",
      "Content-Security-Policy",
      "default-src 'self'",
      "Access-Control-Allow-Origin",
      "*",
      "Strict-Transport-Security",
      "max-age=9; includeSubDomains; preload",
      "Clear-Site-Data",
      '"cookies", "storage"',
      "WWW-Authenticate",
      "Basic",
      "X-Accel-Redirect",
      "/secret",
      "Location",
      "http://localhost:8080/next?a=1"
    ])
    response.end("page")
  })
  const edgeId = yield* gateway.addEdge(port)
  const host = hostOf(edgeId)
  const seal = yield* sealWith(sessionKey)
  const cookieAt = (at: string) => `edge-relay-session=${seal.sealCookie(at, { id: idOf(gateway.cookie) })}`
  const at = (path: string, { cookie = cookieAt(host), on = host, ...rest }: Ask & AtHost = {}) =>
    atHost(gateway.port, on, cookie, path, rest)
  return { gateway, edgeId, host, seal, cookieAt, seen, at }
})

interface AtHost {
  readonly cookie?: string
  readonly on?: string
}

/** The harness's `ask` names our own host: here another one stands in its place. */
const atHost = (
  port: number,
  host: string,
  cookie: string,
  path: string,
  options: Ask
): Effect.Effect<Answer> => ask({ port, cookie }, path, { ...options, host })

const valuesOf = ({ rawHeaders }: Answer, name: string) =>
  rawHeaders.flatMap((value, index) =>
    index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name ? [value] : []
  )

const seenValues = (raw: ReadonlyArray<string>, name: string) =>
  raw.flatMap((value, index) => (index % 2 === 1 && raw[index - 1]?.toLowerCase() === name ? [value] : []))

describe("an edge's own host", () => {
  it.live("passes what the edge says, without what reaches beyond the host", () =>
    Effect.gen(function* () {
      const { at } = yield* page
      const answer = yield* at("/")
      assert.strictEqual(answer.status, 200)
      assert.deepStrictEqual(valuesOf(answer, "set-cookie"), ["app=1; Path=/; HttpOnly"])
      assert.deepStrictEqual(valuesOf(answer, "content-security-policy"), ["default-src 'self'"])
      assert.deepStrictEqual(valuesOf(answer, "access-control-allow-origin"), ["*"])
      assert.deepStrictEqual(valuesOf(answer, "strict-transport-security"), ["max-age=9"])
      assert.deepStrictEqual(valuesOf(answer, "clear-site-data"), ['"storage"'])
      assert.deepStrictEqual(valuesOf(answer, "www-authenticate"), ["Basic"])
      assert.deepStrictEqual(valuesOf(answer, "x-accel-redirect"), [])
      assert.match(
        valuesOf(answer, "location")[0] ?? "",
        /^http:\/\/[a-z0-9]{26}\.edges\.test:3721\/next\?a=1$/
      )
    }).pipe(Effect.provide(layer))
  )

  it.live("tells the edge the public host, its own cookies, and who asks", () =>
    Effect.gen(function* () {
      const { at, cookieAt, gateway, host, seen } = yield* page
      yield* at("/a//b?c=%2F", {
        cookie: `app=1; ${cookieAt(host)}; other=2`,
        headers: ["Authorization", "Basic x"]
      })
      const [request] = seen
      assert.strictEqual(request?.url, "/a//b?c=%2F")
      const raw = request?.raw ?? []
      assert.deepStrictEqual(seenValues(raw, "host"), [host])
      assert.deepStrictEqual(seenValues(raw, "cookie"), ["app=1; other=2"])
      assert.deepStrictEqual(seenValues(raw, "authorization"), ["Basic x"])
      assert.deepStrictEqual(seenValues(raw, "x-forwarded-host"), [host])
      assert.deepStrictEqual(seenValues(raw, "x-forwarded-prefix"), [])
      assert.deepStrictEqual(seenValues(raw, "x-edge-user"), [gateway.userId])
    }).pipe(Effect.provide(layer))
  )

  it.live("never reaches our API, nor any edge by a path of it", () =>
    Effect.gen(function* () {
      const { at, edgeId, seen } = yield* page
      yield* at("/api/auth/me")
      yield* at(`/api/edges/${edgeId}/http/x`)
      assert.deepStrictEqual(
        seen.map(({ url }) => url),
        ["/api/auth/me", `/api/edges/${edgeId}/http/x`]
      )
      const others = [
        "edges.test:3721",
        "nothing.edges.test",
        `a.${hostOf(edgeId)}`,
        "EDGES.test.:80",
        "x.edges.test."
      ]
      for (const on of others) {
        const answer = yield* at("/", { on })
        assert.deepStrictEqual([answer.status, code(answer)], [404, "edge_not_found"], on)
      }
    }).pipe(Effect.provide(layer))
  )

  it.live(
    "takes no cookie but its own: not another host's, another key's, a doubled one or our origin's",
    () =>
      Effect.gen(function* () {
        const { at, cookieAt, gateway, host } = yield* page
        const foreign = yield* sealWith(olderSessionKey)
        const wrong = [
          cookieAt(`other.${edgeDomain}`),
          gateway.cookie,
          `${cookieAt(host)}; ${cookieAt(host)}`,
          `${cookieAt(host)}x`,
          `edge-relay-session=${foreign.sealTicket(host, { id: idOf(gateway.cookie), challenge: "", expiresAt: Date.now() + 9999 })}`,
          "a=1"
        ]
        for (const cookie of wrong) {
          const answer = yield* at("/", { cookie })
          assert.deepStrictEqual([answer.status, code(answer)], [401, "unauthorized"], cookie)
          // What does not hold is deleted; an answer to a request without it must not delete one set meanwhile.
          const cleared = valuesOf(answer, "set-cookie").filter((value) =>
            /^edge-relay-session=;.*Max-Age=0/.test(value)
          )
          assert.strictEqual(cleared.length, cookie.includes("edge-relay-session") ? 1 : 0, cookie)
        }
        // One that an older key has sealed holds, and is sent anew.
        const old = `edge-relay-session=${foreign.sealCookie(host, { id: idOf(gateway.cookie) })}`
        const answer = yield* at("/", { cookie: old })
        assert.strictEqual(answer.status, 200)
        assert.strictEqual(
          valuesOf(answer, "set-cookie").filter((value) => value.startsWith("edge-relay-session=")).length,
          1
        )
      }).pipe(Effect.provide(layer))
  )

  it.live("does not know another tenant's edge", () =>
    Effect.gen(function* () {
      const { at, gateway, host, seal } = yield* page
      const cookie = `edge-relay-session=${seal.sealCookie(host, { id: idOf(gateway.strangersCookie) })}`
      const answer = yield* at("/", { cookie })
      assert.deepStrictEqual([answer.status, code(answer)], [404, "edge_not_found"])
    }).pipe(Effect.provide(layer))
  )

  it.live("sends a navigation to sign in, and nothing else", () =>
    Effect.gen(function* () {
      const { at, host } = yield* page
      const answer = yield* at("/deep?x=1", { cookie: "a=1", headers: navigation })
      assert.strictEqual(answer.status, 302)
      const location = new URL(valuesOf(answer, "location")[0] ?? "")
      assert.strictEqual(location.origin + location.pathname, "http://relay.test:3721/api/auth/edge")
      assert.strictEqual(location.searchParams.get("host"), host)
      assert.notInclude(location.href, "deep")
      assert.deepStrictEqual(valuesOf(answer, "referrer-policy"), ["no-referrer"])
      assert.deepStrictEqual(valuesOf(answer, "cache-control"), ["no-store"])
      const others = [
        ["Accept", "*/*"],
        ["Accept", "text/html", "Sec-Fetch-Mode", "cors"],
        ["Accept", "text/html", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"]
      ]
      for (const headers of others) {
        const refused = yield* at("/deep", { cookie: "a=1", headers })
        assert.deepStrictEqual([refused.status, code(refused)], [401, "unauthorized"])
      }
      const post = yield* at("/", { cookie: "a=1", method: "POST", headers: navigation })
      assert.strictEqual(post.status, 401)
    }).pipe(Effect.provide(layer))
  )

  it.live("takes a ticket once, in the browser and on the host that it is for", () =>
    Effect.gen(function* () {
      const { at, gateway, host, seal } = yield* page
      const begin = Effect.gen(function* () {
        const answer = yield* at("/deep?x=1", { cookie: "a=1", headers: navigation })
        const query = new URL(valuesOf(answer, "location")[0] ?? "").searchParams
        return {
          attempt: query.get("attempt") ?? "",
          challenge: query.get("challenge") ?? "",
          cookie: valuesOf(answer, "set-cookie")[0]?.split(";", 1)[0] ?? ""
        }
      })
      const ticketFor = (on: string, challenge: string, expiresAt = Date.now() + 30_000) =>
        seal.sealTicket(on, { id: idOf(gateway.cookie), challenge, expiresAt })
      const redeem = (attempt: string, ticket: string, cookie: string) =>
        at(`/.edge-relay/ticket?attempt=${attempt}&ticket=${ticket}`, { cookie, headers: navigation })

      const mine = yield* begin
      const ticket = ticketFor(host, mine.challenge)
      const signedIn = yield* redeem(mine.attempt, ticket, mine.cookie)
      assert.deepStrictEqual([signedIn.status, valuesOf(signedIn, "location")], [302, ["/deep?x=1"]])
      const session = valuesOf(signedIn, "set-cookie").find((value) =>
        value.startsWith("edge-relay-session=")
      )
      assert.match(session ?? "", /; Path=\/; HttpOnly; SameSite=Lax$/)
      assert.strictEqual((yield* at("/", { cookie: session?.split(";", 1)[0] ?? "" })).status, 200)

      const again = yield* redeem(mine.attempt, ticket, mine.cookie)
      assert.strictEqual(again.status, 400)
      assert.include(again.body.toString(), "used before")
      // Whoever is signed in is not told of it.
      const signedInAgain = yield* redeem(
        mine.attempt,
        ticket,
        `${mine.cookie}; ${session?.split(";", 1)[0]}`
      )
      assert.strictEqual(signedInAgain.status, 302)

      const other = yield* begin
      const refusals = [
        redeem(other.attempt, ticketFor(`x.${edgeDomain}`, other.challenge), other.cookie),
        redeem(other.attempt, ticketFor(host, other.challenge, Date.now() - 1), other.cookie),
        redeem(other.attempt, ticketFor(host, digest("somebody else's")), other.cookie),
        redeem(other.attempt, ticketFor(host, other.challenge), ""),
        redeem(other.attempt, ticketFor(host, other.challenge), mine.cookie),
        redeem(other.attempt, ticketFor(host, other.challenge).slice(1), other.cookie)
      ]
      for (const refusal of refusals) {
        const answer = yield* refusal
        assert.strictEqual(answer.status, 400)
        assert.deepStrictEqual(
          valuesOf(answer, "set-cookie").filter((value) => value.startsWith("edge-relay-session=")),
          []
        )
      }
      yield* gateway.endSession
      const late = yield* redeem(other.attempt, ticketFor(host, other.challenge), other.cookie)
      assert.strictEqual(late.status, 400)
    }).pipe(Effect.provide(layer))
  )

  it.live("shows a page in place of a third sign-in that does not hold", () =>
    Effect.gen(function* () {
      const { at } = yield* page
      const answer = yield* at("/", { cookie: "edge-relay-rounds=2", headers: navigation })
      assert.strictEqual(answer.status, 400)
      assert.match(answer.body.toString(), /does not hold/)
      assert.strictEqual((yield* at("/", { cookie: "edge-relay-rounds=1", headers: navigation })).status, 302)
    }).pipe(Effect.provide(layer))
  )

  it.live("refuses what another edge's page, or any other site's, would change", () =>
    Effect.gen(function* () {
      const { at, edgeId, host } = yield* page
      const statusOf = (method: string, ...headers: ReadonlyArray<string>) =>
        Effect.map(at("/", { method, headers }), ({ status }) => status)
      const sibling = `http://${hostOf(edgeId, "grafana")}`
      assert.strictEqual(
        yield* statusOf("POST", "Sec-Fetch-Site", "same-site", "Origin", "http://x.edges.test:3721"),
        403
      )
      assert.strictEqual(yield* statusOf("POST", "Sec-Fetch-Site", "cross-site"), 403)
      assert.strictEqual(yield* statusOf("DELETE", "Origin", "http://relay.test:3721"), 403)
      assert.strictEqual(yield* statusOf("PUT", "Origin", "null"), 403)
      assert.strictEqual(yield* statusOf("POST", "Origin", `http://${host}`), 200)
      assert.strictEqual(yield* statusOf("POST", "Sec-Fetch-Site", "same-origin"), 200)
      assert.strictEqual(yield* statusOf("POST"), 200)
      assert.strictEqual(yield* statusOf("GET", "Sec-Fetch-Site", "same-site"), 200)
      // The services of one edge may call each other.
      assert.strictEqual(yield* statusOf("POST", "Sec-Fetch-Site", "same-site", "Origin", sibling), 200)
      const preflight = ["Origin", sibling, "Access-Control-Request-Method", "PUT"]
      assert.strictEqual((yield* at("/", { method: "OPTIONS", cookie: "", headers: preflight })).status, 200)
      const foreign = ["Origin", "http://evil.test", "Access-Control-Request-Method", "PUT"]
      assert.strictEqual((yield* at("/", { method: "OPTIONS", cookie: "", headers: foreign })).status, 401)
    }).pipe(Effect.provide(layer))
  )

  it.live("refuses a target that is not a path", () =>
    Effect.gen(function* () {
      const { cookieAt, gateway, host, seen } = yield* page
      const answer = yield* sendRaw(
        gateway.port,
        `GET http://user@${host}/ HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookieAt(host)}\r\nConnection: close\r\n\r\n`
      )
      assert.match(answer, /^HTTP\/1\.1 400 /)
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.provide(layer))
  )

  it.live("refuses a WebSocket of another edge's page", () =>
    Effect.gen(function* () {
      const { cookieAt, gateway, host, seen } = yield* page
      const upgrade = (origin: string) =>
        sendRaw(
          gateway.port,
          `GET /ws HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookieAt(host)}\r\nOrigin: ${origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`
        )
      assert.match(yield* upgrade("http://x.edges.test:3721"), /^HTTP\/1\.1 403 /)
      assert.deepStrictEqual(seen, [])
      assert.match(yield* upgrade(`http://${host}`), /^HTTP\/1\.1 200 /)
    }).pipe(Effect.provide(layer))
  )

  it.live("breaks off what is under way when the session ends", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      let open = 0
      const port = yield* httpOrigin((_request, response) => {
        open++
        response.once("close", () => open--)
        response.writeHead(200).write("begun")
      })
      const host = hostOf(yield* gateway.addEdge(port))
      const seal = yield* sealWith(sessionKey)
      const cookie = `edge-relay-session=${seal.sealCookie(host, { id: idOf(gateway.cookie) })}`
      const asked = yield* Effect.forkChild(atHost(gateway.port, host, cookie, "/stream", {}), {
        startImmediately: true
      })
      yield* eventually("the edge has been asked", () => open === 1)
      yield* gateway.endSession
      yield* eventually("the stream is broken off", () => open === 0)
      asked.interruptUnsafe()
      assert.strictEqual((yield* atHost(gateway.port, host, cookie, "/", {})).status, 401)
    }).pipe(Effect.provide(layer))
  )

  it.live("shows people a page that comes back by itself, and programs a problem", () =>
    Effect.gen(function* () {
      const { at, edgeId, gateway } = yield* page
      gateway.edge(edgeId).offline = true
      const shown = yield* at("/", { headers: navigation })
      assert.strictEqual(shown.status, 503)
      assert.match(shown.headers["content-type"] ?? "", /^text\/html/)
      assert.deepStrictEqual(valuesOf(shown, "refresh"), ["5"])
      assert.match(shown.body.toString(), /Edge offline[^]*Request /)
      const told = yield* at("/", { headers: ["Accept", "*/*"] })
      assert.deepStrictEqual([told.status, code(told)], [503, "edge_offline"])
    }).pipe(Effect.provide(layer))
  )
})

describe("our origin", () => {
  it.live("asks anew who it is for each request of a connection that several people share", () =>
    Effect.gen(function* () {
      const { edgeId, gateway, seen } = yield* page
      const request = (cookie: string, last = false) =>
        `GET /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: relay.test\r\nCookie: ${cookie}\r\n${last ? "Connection: close\r\n" : ""}\r\n`
      const answers = yield* sendRaw(
        gateway.port,
        request(gateway.cookie) +
          request(gateway.strangersCookie) +
          request("a=1") +
          request(gateway.cookie, true)
      )
      const statuses = Array.from(answers.matchAll(/HTTP\/1\.1 (\d{3}) /g), ([, status]) => status)
      assert.deepStrictEqual(statuses, ["200", "404", "401", "200"])
      assert.strictEqual(seen.length, 2)
    }).pipe(Effect.provide(layer))
  )

  it.live("lets an edge say only what is on the list", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const refused = [
        "WWW-Authenticate",
        "Refresh",
        "Speculation-Rules",
        "Reporting-Endpoints",
        "Attribution-Reporting-Register-Source",
        "Observe-Browsing-Topics",
        "Activate-Storage-Access",
        "Critical-CH",
        "Accept-CH",
        "Origin-Agent-Cluster",
        "Set-Cookie",
        "Access-Control-Allow-Origin",
        "Clear-Site-Data",
        "Strict-Transport-Security",
        "Content-Security-Policy-Report-Only",
        "X-Accel-Redirect",
        "X-Sendfile",
        "Something-New"
      ]
      const passed = ["ETag", "Content-Language", "X-Total-Count", "Retry-After", "Content-Disposition"]
      const port = yield* httpOrigin((_request, response) => {
        response
          .writeHead(
            200,
            [...refused, ...passed].flatMap((name) => [name, "1"])
          )
          .end()
      })
      const answer = yield* ask(gateway, `/api/edges/${yield* gateway.addEdge(port)}/http/`)
      for (const name of refused) assert.deepStrictEqual(valuesOf(answer, name.toLowerCase()), [], name)
      for (const name of passed) assert.deepStrictEqual(valuesOf(answer, name.toLowerCase()), ["1"], name)
    }).pipe(Effect.provide(layer))
  )

  it.live("refuses TRACE", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const answer = yield* ask(gateway, `/api/edges/${yield* gateway.addEdge(1)}/http/`, { method: "TRACE" })
      assert.deepStrictEqual([answer.status, code(answer)], [405, "method_not_allowed"])
      assert.notInclude(valuesOf(answer, "allow")[0] ?? "TRACE", "TRACE")
    }).pipe(Effect.provide(layer))
  )
})
