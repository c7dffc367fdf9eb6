import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type JWTPayload, SignJWT, UnsecuredJWT } from "jose"
import { createPublicKey, createSecretKey } from "node:crypto"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { assertLanded, assertPage, start } from "@edge-relay/testkit/auth/Hostile"
import {
  type Behaviour,
  type HostileProvider,
  newKeyPair,
  seconds
} from "@edge-relay/testkit/auth/HostileProvider"

/** A sign-in at a provider that misbehaves: it must not succeed, and leave nothing behind. */
const refused = (
  name: string,
  misbehave: (provider: HostileProvider) => Partial<Behaviour> | Promise<Partial<Behaviour>>
) =>
  it.live(`refuses an ID token ${name}`, () =>
    Effect.gen(function* () {
      const app = yield* start()
      Object.assign(app.provider.behave, yield* Effect.promise(async () => misbehave(app.provider)))
      const browser = new Browser()
      const answer = yield* app.signIn(browser)
      assertPage(answer, 400, "The sign-in could not be verified")
      assert.strictEqual((yield* app.me(browser)).status, 401)
      assert.strictEqual(yield* app.sessions.count, 0)
    })
  )

const withClaims = (change: (claims: JWTPayload) => JWTPayload) => () => ({ claims: change })

const without = (claim: string) =>
  withClaims((claims) => Object.fromEntries(Object.entries(claims).filter(([name]) => name !== claim)))

describe("ID tokens", () => {
  it.live("of an honest provider are accepted", () =>
    Effect.gen(function* () {
      const app = yield* start()
      const browser = new Browser()
      assertLanded(yield* app.signIn(browser), "/home")
      assert.strictEqual((yield* app.me(browser)).status, 200)
    })
  )

  describe("by their signature", () => {
    refused("with alg none", () => ({
      sign: async (claims) => new UnsecuredJWT(claims).encode()
    }))
    refused("with alg none and the metadata saying that it is supported", () => ({
      metadata: (metadata) => ({ ...metadata, id_token_signing_alg_values_supported: ["none", "RS256"] }),
      sign: async (claims) => new UnsecuredJWT(claims).encode()
    }))
    refused("signed by HS256 with the public key as the secret", ({ keys }) => ({
      metadata: (metadata) => ({ ...metadata, id_token_signing_alg_values_supported: ["HS256", "RS256"] }),
      sign: (claims) => {
        const pem = createPublicKey({ key: { ...keys[0]?.publicJwk }, format: "jwk" })
          .export({ type: "spki", format: "pem" })
          .toString()
        return new SignJWT(claims)
          .setProtectedHeader({ alg: "HS256", kid: keys[0]?.kid ?? "" })
          .sign(createSecretKey(Buffer.from(pem)))
      }
    }))
    refused("signed by another key under a published key's id", ({ keys, signWith }) => ({
      sign: async (claims) => signWith({ ...(await newKeyPair()), kid: keys[0]?.kid ?? "" }, claims)
    }))
    refused("signed by a key of an unknown id", ({ signWith }) => ({
      sign: async (claims) => signWith(await newKeyPair(), claims)
    }))
    refused("that brings its own key", ({ signWith }) => ({
      sign: async (claims) => {
        const key = await newKeyPair()
        return signWith(key, claims, { jwk: key.publicJwk })
      }
    }))
    refused("with a flipped signature", ({ keys, signWith }) => ({
      sign: async (claims) => {
        const [key] = keys
        const token = key === undefined ? "" : await signWith(key, claims)
        return token.slice(0, -5) + (token.at(-5) === "A" ? "B" : "A") + token.slice(-4)
      }
    }))
    refused("with a critical header that nobody knows", ({ keys, signWith }) => ({
      sign: async (claims) => {
        const [key] = keys
        const token = key === undefined ? "" : await signWith(key, claims)
        const header = Buffer.from(JSON.stringify({ alg: "RS256", crit: ["exp"], exp: 1 })).toString(
          "base64url"
        )
        return [header, ...token.split(".").slice(1)].join(".")
      }
    }))
    refused("that is no token", () => ({ sign: async () => "not.a.token" }))
    refused("that is not there", () => ({ sign: async () => undefined }))
  })

  describe("by their claims", () => {
    refused(
      "of another issuer",
      withClaims((claims) => ({ ...claims, iss: "https://other.example" }))
    )
    refused("without an issuer", without("iss"))
    refused(
      "for another client",
      withClaims((claims) => ({ ...claims, aud: "another-client" }))
    )
    refused(
      "for other clients",
      withClaims((claims) => ({ ...claims, aud: ["a", "b"] }))
    )
    refused("without an audience", without("aud"))
    refused(
      "for us among others without azp",
      withClaims((claims) => ({ ...claims, aud: ["edge-relay", "another"] }))
    )
    refused(
      "whose azp is another client",
      withClaims((claims) => ({ ...claims, azp: "another" }))
    )
    refused(
      "for us among others whose azp is another client",
      withClaims((claims) => ({ ...claims, aud: ["edge-relay", "another"], azp: "another" }))
    )
    refused(
      "with another nonce",
      withClaims((claims) => ({ ...claims, nonce: "another" }))
    )
    refused("without a nonce", without("nonce"))
    refused(
      "that has expired",
      withClaims((claims) => ({ ...claims, exp: seconds() - 61 }))
    )
    refused("without an expiry", without("exp"))
    refused(
      "whose expiry is text",
      withClaims((claims) => ({ ...claims, exp: "2999" as unknown as number }))
    )
    refused(
      "made in the future",
      withClaims((claims) => ({ ...claims, iat: seconds() + 120 }))
    )
    refused(
      "made last year",
      withClaims((claims) => ({ ...claims, iat: seconds() - 365 * 86_400 }))
    )
    refused("without the time when it was made", without("iat"))
    refused(
      "not valid yet",
      withClaims((claims) => ({ ...claims, nbf: seconds() + 3600 }))
    )
    refused("without a subject", without("sub"))
    refused(
      "with an empty subject",
      withClaims((claims) => ({ ...claims, sub: "" }))
    )
    refused(
      "with a subject of 256 characters",
      withClaims((claims) => ({ ...claims, sub: "a".repeat(256) }))
    )
    refused(
      "with a subject beyond ASCII",
      withClaims((claims) => ({ ...claims, sub: "älice" }))
    )
    refused(
      "with line ends in the subject",
      withClaims((claims) => ({ ...claims, sub: "a\r\nb" }))
    )
    refused(
      "whose subject is a number",
      withClaims((claims) => ({ ...claims, sub: 7 as unknown as string }))
    )
    refused(
      "with the hash of another access token",
      withClaims((claims) => ({ ...claims, at_hash: "AAAAAAAAAAAAAAAAAAAAAA" }))
    )
    refused(
      "whose at_hash is no text",
      withClaims((claims) => ({ ...claims, at_hash: 1 }))
    )
    refused(
      "whose session is no text",
      withClaims((claims) => ({ ...claims, sid: 1 }))
    )
  })

  describe("by clocks that differ", () => {
    for (const [name, change] of [
      ["nbf 58 s ahead", () => ({ nbf: seconds() + 58 })],
      ["iat 58 s ahead", () => ({ iat: seconds() + 58 })],
      ["exp 58 s ago", () => ({ exp: seconds() - 58 })]
    ] as const) {
      it.live(`are accepted with ${name}`, () =>
        Effect.gen(function* () {
          const app = yield* start()
          app.provider.behave.claims = (claims) => ({ ...claims, ...change() })
          assertLanded(yield* app.signIn(new Browser()), "/home")
        })
      )
      it.live(`are refused with ${name}, where the setting tolerates 30 s`, () =>
        Effect.gen(function* () {
          const app = yield* start({ clockToleranceSeconds: 30 })
          app.provider.behave.claims = (claims) => ({ ...claims, ...change() })
          assertPage(yield* app.signIn(new Browser()), 400, "The sign-in could not be verified")
        })
      )
    }
    refused(
      "with nbf 70 s ahead",
      withClaims((claims) => ({ ...claims, nbf: seconds() + 70 }))
    )
  })

  it.live("are accepted for us among others where azp is us", () =>
    Effect.gen(function* () {
      const app = yield* start()
      app.provider.behave.claims = (claims) => ({
        ...claims,
        aud: ["edge-relay", "other"],
        azp: "edge-relay"
      })
      assertLanded(yield* app.signIn(new Browser()), "/home")
    })
  )

  for (const alg of ["ES256", "PS256"]) {
    it.live(`signed by ${alg} are accepted`, () =>
      Effect.gen(function* () {
        const app = yield* start()
        const key = yield* Effect.promise(() => newKeyPair(alg))
        app.provider.keys.push(key)
        assertLanded(yield* app.signIn(new Browser()), "/home")
      })
    )
  }
})
