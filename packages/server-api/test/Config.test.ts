import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, Redacted } from "effect"
import { readFile } from "node:fs/promises"
import { Config } from "../src/Config.ts"

const key = Buffer.alloc(32, 1).toString("base64")

const required = {
  INTERNAL_KEY: key,
  SESSION_KEYS: key,
  OIDC_ISSUER: "https://login.example.com",
  OIDC_CLIENT_ID: "edge-relay"
}

const read = (env: { readonly [name: string]: string }) =>
  Layer.build(Config.layer).pipe(
    Effect.map((context) => Context.get(context, Config)),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
  )

const faultsOf = (env: { readonly [name: string]: string }) =>
  Effect.map(Effect.flip(read(env)), ({ faults }) => faults.map(({ variable }) => variable).sort())

describe("Config", () => {
  it.effect("has a default for all but the keys and the identity provider", () =>
    Effect.gen(function* () {
      const config = yield* read(required)
      assert.strictEqual(config.publicUrl.href, "http://localhost:3721/")
      assert.strictEqual(config.port, 3721)
      assert.strictEqual(config.oidc.scopes, "openid profile email")
      assert.strictEqual(Redacted.value(config.databaseUrl), "sqlite:.edge-relay/edge-relay.db")
      assert.deepStrictEqual(config.trustedProxies, [])
      assert.isUndefined(config.redisUrl)
      assert.deepStrictEqual(yield* faultsOf({}), [
        "INTERNAL_KEY",
        "OIDC_CLIENT_ID",
        "OIDC_ISSUER",
        "SESSION_KEYS"
      ])
    })
  )

  it.effect("takes an empty variable for one that is not set", () =>
    Effect.gen(function* () {
      const config = yield* read({ ...required, API_PORT: "", OIDC_CLIENT_SECRET: "", REDIS_URL: "" })
      assert.strictEqual(config.port, 3721)
      assert.isUndefined(config.oidc.clientSecret)
      assert.deepStrictEqual(yield* faultsOf({ ...required, OIDC_ISSUER: "" }), ["OIDC_ISSUER"])
    })
  )

  it.effect("lists every fault at once, each with an example, and no value in it", () =>
    Effect.gen(function* () {
      const faulty = {
        PUBLIC_URL: "http://relay.example.com",
        TUNNEL_URL: "http://relay.example.com",
        API_HOST: "not a host",
        API_PORT: "70000",
        API_INTERNAL_PORT: "-1",
        PROXY_INTERNAL_URL: "proxy:3801",
        INTERNAL_KEY: "hunter2",
        DATABASE_URL: "mysql://user:hunter2@db",
        REDIS_URL: "http://hunter2",
        SESSION_KEYS: "aHVudGVyMg==",
        OIDC_ISSUER: "hunter2",
        OIDC_CLIENT_ID: "",
        OIDC_CLIENT_AUTH: "hunter2",
        OIDC_CLIENT_KEY: "hunter2",
        OIDC_SCOPES: "profile",
        OIDC_CLOCK_TOLERANCE_SECONDS: "601",
        OIDC_SERVICE_CLIENT_SECRET: "hunter2",
        TRUSTED_PROXIES: "10.0.0.0/99",
        LOG_LEVEL: "loud",
        LOG_FORMAT: "xml",
        DRAIN_SECONDS: "soon",
        AUDIT_DAYS: "0",
        SESSION_IDLE_HOURS: "0",
        SESSION_MAX_HOURS: "1.5",
        OTEL_EXPORTER_OTLP_ENDPOINT: "hunter2",
        OTEL_TRACES_SAMPLER_ARG: "1.1"
      }
      const error = yield* Effect.flip(read(faulty))
      const found = error.faults.map(({ variable }) => variable)
      const expected = Object.keys(faulty).filter((name) => name !== "OIDC_SERVICE_CLIENT_SECRET")
      assert.deepStrictEqual(found.sort(), [...expected, "OIDC_SERVICE_CLIENT_ID"].sort())
      for (const variable of found)
        assert.match(error.message, new RegExp(`^  ${variable} .+, e\\.g\\. ${variable}=.+`, "m"))
      assert.notInclude(error.message, "hunter2")
    })
  )

  it.effect("wants the service client's id and secret together, or neither", () =>
    Effect.gen(function* () {
      const id = { OIDC_SERVICE_CLIENT_ID: "service" }
      const secret = { OIDC_SERVICE_CLIENT_SECRET: "hunter2" }
      assert.deepStrictEqual(yield* faultsOf({ ...required, ...id }), ["OIDC_SERVICE_CLIENT_SECRET"])
      assert.deepStrictEqual(yield* faultsOf({ ...required, ...secret }), ["OIDC_SERVICE_CLIENT_ID"])
      const { oidc } = yield* read({ ...required, ...id, ...secret })
      assert.strictEqual(oidc.service?.clientId, "service")
      assert.isUndefined((yield* read(required)).oidc.service)
    })
  )

  it.effect("wants what the client's way to prove itself needs", () =>
    Effect.gen(function* () {
      const clientKey = JSON.stringify({
        kty: "EC",
        crv: "P-256",
        alg: "ES256",
        d: "hunter2",
        x: "x",
        y: "y"
      })
      const key = { OIDC_CLIENT_KEY: clientKey }
      const [basic, jwt] = [{ OIDC_CLIENT_AUTH: "basic" }, { OIDC_CLIENT_AUTH: "private_key_jwt" }]
      assert.strictEqual((yield* read(required)).oidc.clientAuth, "post")
      assert.deepStrictEqual(yield* faultsOf({ ...required, ...basic }), ["OIDC_CLIENT_SECRET"])
      assert.deepStrictEqual(yield* faultsOf({ ...required, ...jwt }), ["OIDC_CLIENT_KEY"])
      assert.deepStrictEqual(yield* faultsOf({ ...required, ...key }), ["OIDC_CLIENT_KEY"])
      assert.deepStrictEqual(yield* faultsOf({ ...required, ...jwt, OIDC_CLIENT_KEY: "{}" }), [
        "OIDC_CLIENT_KEY"
      ])
      const { oidc } = yield* read({ ...required, ...jwt, ...key })
      assert.strictEqual(oidc.clientKey && Redacted.value(oidc.clientKey), clientKey)
    })
  )

  it.effect("wants https, but on this machine", () =>
    Effect.gen(function* () {
      for (const url of [
        "https://relay.example.com",
        "http://localhost:3721",
        "http://127.0.0.1:1",
        "http://[::1]:1"
      ]) {
        assert.strictEqual((yield* read({ ...required, PUBLIC_URL: url })).publicUrl.origin, url)
      }
      for (const url of [
        "http://10.0.0.1",
        "https://relay.example.com/path",
        "https://u@relay.example.com",
        "ftp://x"
      ]) {
        assert.deepStrictEqual(yield* faultsOf({ ...required, PUBLIC_URL: url }), ["PUBLIC_URL"], url)
      }
      const mixed = {
        ...required,
        PUBLIC_URL: "https://relay.example.com",
        OIDC_ISSUER: "http://localhost:3722"
      }
      assert.deepStrictEqual(yield* faultsOf(mixed), ["OIDC_ISSUER"])
    })
  )

  it.effect("takes several session keys, newest first, and subnets", () =>
    Effect.gen(function* () {
      const older = Buffer.alloc(48, 2).toString("base64url")
      const config = yield* read({
        ...required,
        SESSION_KEYS: `${key}, ${older}`,
        TRUSTED_PROXIES: "10.0.0.0/8,::1"
      })
      assert.deepStrictEqual(
        config.sessionKeys.map((one) => Redacted.value(one).length),
        [32, 48]
      )
      assert.deepStrictEqual(config.trustedProxies, ["10.0.0.0/8", "::1"])
      assert.notInclude(String(config.sessionKeys[0]), key)
    })
  )

  it.effect("is what .env.example lists, together with the proxy's", () =>
    Effect.gen(function* () {
      const text = (path: string) =>
        Effect.promise(() => readFile(new URL(`../../../${path}`, import.meta.url), "utf8"))
      const example = yield* text(".env.example")
      const listed = Array.from(example.matchAll(/^([A-Z][A-Z\d_]+)=/gm), ([, name]) => name)
      const sources =
        (yield* text("packages/server-kit/src/CommonSettings.ts")) +
        (yield* text("packages/server-api/src/Config.ts")) +
        (yield* text("packages/server-proxy/src/Config.ts"))
      const names = sources.matchAll(/"([A-Z][A-Z\d]*(?:_[A-Z\d]+)+)"|^  ([A-Z][A-Z\d]*(?:_[A-Z\d]+)+): \{/gm)
      const named = new Set(Array.from(names, ([, quoted, key]) => quoted ?? key))
      assert.deepStrictEqual(listed.sort(), Array.from(named).sort())
    })
  )
})
