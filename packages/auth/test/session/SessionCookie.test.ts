import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { createHash } from "node:crypto"
import { SessionCookie } from "../../src/session/SessionCookie.ts"

const key = (byte: number, length = 32) => Redacted.make(new Uint8Array(length).fill(byte))

const cookies = (
  options: { readonly keys?: ReadonlyArray<ReturnType<typeof key>>; readonly secure?: boolean } = {}
) =>
  Effect.map(
    Layer.build(SessionCookie.layer({ keys: options.keys ?? [key(1)], secure: options.secure ?? true })),
    (context) => Context.get(context, SessionCookie)
  )

describe("SessionCookie", () => {
  it.effect("is __Host- with Secure over https", () =>
    Effect.gen(function* () {
      const cookie = yield* cookies()
      assert.strictEqual(cookie.name, "__Host-session")
      assert.match(
        cookie.set(cookie.issue()),
        /^__Host-session=v1\.[\w-]{43}\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Secure$/
      )
      assert.strictEqual(cookie.clear, "__Host-session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0")
    })
  )

  it.effect("verifies what it set, and knows it by the SHA-256 of its id", () =>
    Effect.gen(function* () {
      const cookie = yield* cookies()
      const issued = cookie.issue()
      assert.strictEqual(Buffer.from(issued.id, "base64url").length, 32)
      assert.strictEqual(issued.idHash, createHash("sha256").update(issued.id).digest("base64url"))
      const [pair] = cookie.set(issued).split(";")
      assert.deepStrictEqual(cookie.verify(pair), issued)
      assert.deepStrictEqual(cookie.verify(`a=b;${pair}; c=d`), issued)
      assert.notStrictEqual(cookie.issue().id, issued.id)
    })
  )

  it.effect("takes nothing from a header that is missing, empty, endless or of another name", () =>
    Effect.gen(function* () {
      const cookie = yield* cookies()
      const [pair = ""] = cookie.set(cookie.issue()).split(";")
      for (const header of [
        undefined,
        "",
        ";",
        "=",
        "__Host-session",
        "__Host-session=",
        pair.replace("__Host-", ""),
        pair.replace("__Host-", "__host-"),
        pair.replace("__Host-", "__Secure-"),
        `x${pair}`,
        pair.replace("=", " ="),
        pair.replace("=", "= "),
        `${"a=b; ".repeat(20_000)}${pair}`
      ]) {
        assert.isUndefined(cookie.verify(header))
      }
    })
  )

  it.effect("takes a signature of any of its keys, and says which are out of date", () =>
    Effect.gen(function* () {
      const [old, both, newest] = [
        yield* cookies({ keys: [key(1)] }),
        yield* cookies({ keys: [key(2), key(1)] }),
        yield* cookies({ keys: [key(2)] })
      ]
      const issued = old.issue()
      const [pair] = old.set(issued).split(";")
      assert.deepStrictEqual(both.verify(pair), { ...issued, outdated: true })
      assert.isUndefined(newest.verify(pair))
      const [renewed] = both.set(issued).split(";")
      assert.deepStrictEqual(both.verify(renewed), issued)
      assert.deepStrictEqual(newest.verify(renewed), issued)
      assert.isUndefined(old.verify(renewed))
    })
  )

  it.effect("does not start with a key under 32 bytes, or without one", () =>
    Effect.gen(function* () {
      for (const [keys, message] of [
        [[], "there is no session key"],
        [[key(1, 31)], "session keys of 31 bytes, where each needs 32 at least"],
        [[key(1), key(2, 16)], "session keys of 32, 16 bytes, where each needs 32 at least"]
      ] as const) {
        const error = yield* Effect.flip(cookies({ keys }))
        assert.strictEqual(error.message, message)
      }
    })
  )

  it.effect("looks into hostile headers in bounded time", () =>
    Effect.gen(function* () {
      const cookie = yield* cookies()
      const [pair] = cookie.set(cookie.issue()).split(";")
      for (const header of [
        ";".repeat(16_384),
        "__Host-session=".repeat(1092),
        " ".repeat(16_384),
        `${"__Host-session; ".repeat(1000)}`,
        `${pair}${";".repeat(16_000)}`
      ]) {
        const began = process.cpuUsage()
        for (let index = 0; index < 20; index++) cookie.verify(header)
        const { system, user } = process.cpuUsage(began)
        // Microseconds for twenty; each takes some hundreds at most, a quadratic reading would take seconds.
        assert.isBelow(user + system, 500_000)
      }
    })
  )
})
