import { assert, describe, it } from "@effect/vitest"
import { TokenScope } from "@edge-relay/domain/access-tokens/TokenScope"
import { Authorization } from "@edge-relay/domain/api/Authorization"
import { CloudApi, PublicApi } from "@edge-relay/domain/api/CloudApi"
import { BodyRules, ChangeLimit, Conventions } from "@edge-relay/domain/api/Conventions"
import * as Problem from "@edge-relay/domain/api/Problem"
import { isSafeMethod } from "@edge-relay/domain/api/SafeMethod"
import { Timestamp } from "@edge-relay/domain/api/Timestamp"
import { WithinReach } from "@edge-relay/domain/api/WithinReach"
import { Context, DateTime, Effect, Schema } from "effect"
import { OpenApi } from "effect/http-api"
import { globSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const endpoints = Object.values(CloudApi.groups).flatMap((group) =>
  Object.values(group.endpoints).map(({ annotations, method, middlewares, path }) => ({
    name: `${method} ${path}`,
    method: String(method),
    path: String(path),
    middlewares,
    scope: Context.get(annotations, TokenScope)
  }))
)

describe("CloudApi", () => {
  it("holds every endpoint but health's to its conventions, and asks who it is before it reads a body", () => {
    for (const { middlewares, name, path } of endpoints) {
      if (!path.startsWith("/api/")) continue
      const order = Array.from(middlewares)
      assert.include(order, Conventions, name)
      // The first is the innermost.
      assert.strictEqual(order[0], BodyRules, name)
      if (order.includes(Authorization)) {
        assert.isBelow(order.indexOf(Authorization), order.indexOf(Conventions), name)
      }
    }
  })

  it("holds tokens to their edges on every endpoint that names one, and lets none act on tokens or sign-ins", () => {
    const names = { read: 0, held: 0 }
    for (const { middlewares, name, path, scope } of endpoints) {
      if (path.includes(":edgeId")) {
        assert.isTrue(middlewares.has(WithinReach), name)
        names.held++
      }
      if (/^\/api\/(tokens|audit|auth\/(?!me$|terminal$))/.test(path)) {
        assert.strictEqual(scope, "none", name)
        names.read++
      }
    }
    assert.isAbove(Math.min(names.read, names.held), 6)
  })

  it("has a code of its own, and by that one status, for every problem", () => {
    const problems = [
      new Problem.InvalidRequest({}),
      new Problem.BadMessage({}),
      new Problem.InvalidCode({}),
      new Problem.InvalidGrant({}),
      new Problem.InvalidLogoutToken({}),
      new Problem.SignInFailed({}),
      new Problem.AuthorizationPending({}),
      new Problem.SlowDown({}),
      new Problem.AccessDenied({}),
      new Problem.ExpiredToken({}),
      new Problem.Unauthorized({}),
      new Problem.InsufficientScope({}),
      new Problem.Forbidden({}),
      new Problem.CrossSite({}),
      new Problem.NotFound({}),
      new Problem.EdgeNotFound({}),
      new Problem.EdgeSessionNotFound({}),
      new Problem.MethodNotAllowed({}),
      new Problem.RequestTimeout({}),
      new Problem.PayloadTooLarge({}),
      new Problem.UnsupportedMediaType({}),
      new Problem.ExpectationFailed({}),
      new Problem.UpgradeRequired({}),
      new Problem.TooManyRequests({}),
      new Problem.EdgeBusy({}),
      new Problem.InternalError({}),
      new Problem.EdgeRefused({}),
      new Problem.EdgeReset({}),
      new Problem.EdgeOffline({}),
      new Problem.ProviderUnavailable({}),
      new Problem.StorageUnavailable({}),
      new Problem.Unavailable({}),
      new Problem.EdgeTimeout({})
    ]
    const codes = problems.map(({ code }) => code)
    assert.strictEqual(new Set(codes).size, codes.length)
    for (const { code, status, title, type } of problems) {
      assert.match(code, /^[a-z]+(_[a-z]+)*$/)
      assert.isTrue(status >= 400 && status <= 504)
      assert.strictEqual(type, "about:blank")
      assert.notStrictEqual(title, "")
    }
  })

  it("counts what the signed-in change, and asks that before it reads a body", () => {
    for (const { method, middlewares, name } of endpoints) {
      const order = Array.from(middlewares)
      if (!order.includes(Authorization) || isSafeMethod(method)) continue
      assert.isAbove(order.indexOf(ChangeLimit), order.indexOf(BodyRules), name)
      assert.isBelow(order.indexOf(ChangeLimit), order.indexOf(Authorization), name)
    }
  })

  it("has no problem that nothing answers with", () => {
    const folder = fileURLToPath(new URL("../../..", import.meta.url))
    const sources = globSync("{domain,auth,gateway,server-api}/src/**/*.ts", { cwd: folder })
      .filter((file) => file !== "domain/src/api/Problem.ts")
      .map((file) => readFileSync(`${folder}/${file}`, "utf8"))
      .filter((source) => /\/Problem(\.ts)?"/.test(source))
    for (const name of Object.keys(Problem)) {
      const used = sources.some((source) => new RegExp(`\\b${name}\\b`).test(source))
      assert.isTrue(used, name)
    }
  })

  it.effect("writes a problem as RFC 9457 has it", () =>
    Effect.gen(function* () {
      const problem = new Problem.InvalidRequest({
        detail: "name: is missing",
        errors: [{ path: "name", message: "is missing" }]
      })
      assert.deepStrictEqual(yield* Schema.encodeEffect(Problem.InvalidRequest)(problem), {
        type: "about:blank",
        title: "Invalid request",
        status: 400,
        code: "invalid_request",
        detail: "name: is missing",
        errors: [{ path: "name", message: "is missing" }]
      })
    })
  )

  it.effect("writes a moment in UTC with milliseconds", () =>
    Effect.gen(function* () {
      const moment = DateTime.makeUnsafe("2026-02-03T04:05:06+02:00")
      assert.strictEqual(yield* Schema.encodeEffect(Timestamp)(moment), "2026-02-03T02:05:06.000Z")
    })
  )
})

describe("The document of PublicApi", () => {
  const { paths } = OpenApi.fromApi(PublicApi)

  it("names every parameter that its paths have", () => {
    for (const [path, operations] of Object.entries(paths)) {
      assert.notInclude(path, ":")
      const names = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => name).sort()
      for (const [method, operation] of Object.entries(operations)) {
        // A path has nothing but operations here.
        const { parameters } = operation as OpenApi.OpenAPISpecOperation
        const declared = parameters.filter((one) => one.in === "path").map(({ name }) => name)
        assert.deepStrictEqual(declared.sort(), names, `${method} ${path}`)
      }
    }
  })

  it("tells the gateway's own answers from the edge's", () => {
    const operation = paths["/api/edges/{edgeId}/devices"]?.get
    assert.include(JSON.stringify(operation?.responses), "edge_offline")
    assert.include(JSON.stringify(operation?.responses), "edge_timeout")
  })
})
