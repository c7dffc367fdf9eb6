import { Clock, Effect, Schema, type Scope } from "effect"
import {
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters
} from "jose"
import { boundedFetch } from "./internal/boundedFetch.ts"
import { coalesce } from "../internal/coalesce.ts"
import { ProviderUnavailable } from "./OidcError.ts"

/** Keys that the provider has taken back are not trusted for longer. */
const maxAgeMillis = 5 * 60_000

/**
 * How often a minute a signature that no key fits makes us ask again: whoever invents key ids must not make us a
 * flood. For each kind of {@link Asker} of its own, so that strangers use up nothing of those who sign in.
 */
const maxRefetches = 5

/** Keys that were fetched so lately are not fetched again for a stranger. */
const freshMillis = 10_000

/** Keys of one id, or without ids, that are tried for one signature. A provider has a handful. */
const maxTries = 16

/**
 * Whose token it is: the provider's own answer to us (`provider`), or one that anybody may have sent (`anybody`),
 * such as a logout token.
 */
export type Asker = "provider" | "anybody"

/** Signatures that we verify: public keys only, so that nobody signs with what is published (RFC 8725 §3.1). */
export const algorithms: ReadonlyArray<string> =
  "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" ")

const KeySet = Schema.Struct({ keys: Schema.Array(Schema.Unknown) })
const decodeKeySet = Schema.decodeUnknownSync(KeySet)

/** Finds the key of a signature. Throws jose's error where there is none. */
export type FindKey = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>

/**
 * The provider's published keys. Fetched once for all who wait, and again when no key that is known verifies a
 * signature: keys are rotated while sign-ins are under way, some under the same id or without one.
 */
export const makeProviderKeys = (options: {
  readonly url: string
  readonly timeoutSeconds: number
  readonly scope: Scope.Scope
}) => {
  let known: { readonly find: FindKey; readonly at: number } | undefined
  const refetches: { [asker in Asker]: ReadonlyArray<number> } = { provider: [], anybody: [] }

  const fetched = coalesce(
    Effect.gen(function* () {
      const jwks = yield* Effect.tryPromise({
        try: () => fetchKeys(options.url, options.timeoutSeconds),
        catch: (cause) => new ProviderUnavailable({ operation: "keys", retryAfterSeconds: 5, cause })
      })
      known = { find: createLocalJWKSet(jwks), at: yield* Clock.currentTimeMillis }
      return known.find
    }),
    options.scope
  )

  const mayRefetch = (asker: Asker, age: number, now: number): boolean => {
    if (asker === "anybody" && age < freshMillis) return false
    const recent = refetches[asker].filter((at) => now - at < 60_000)
    if (recent.length >= maxRefetches) return false
    refetches[asker] = [...recent, now]
    return true
  }

  /** Runs a verification with the keys that are known; once more with fresh ones where none of them fits. */
  return Effect.fnUntraced(function* <A>(verify: (find: FindKey) => Promise<A>, asker: Asker) {
    const now = yield* Clock.currentTimeMillis
    if (known === undefined || now - known.at >= maxAgeMillis) return yield* attempt(verify, yield* fetched)
    const first = yield* attempt(verify, known.find)
    return isNoKeys(first) && mayRefetch(asker, now - known.at, now)
      ? yield* attempt(verify, yield* fetched)
      : first
  })
}

/** Whether other keys may do what these did not. */
const isNoKeys = (result: unknown): boolean =>
  result instanceof errors.JWKSNoMatchingKey || result instanceof errors.JWSSignatureVerificationFailed

/** A verification that fails is an answer like any other: jose's error. */
const attempt = <A>(verify: (find: FindKey) => Promise<A>, find: FindKey) =>
  Effect.promise(() => verify(find).catch((error: unknown) => tryEach(verify, error)))

/** Where several keys fit a header, whichever verifies the signature is the one. */
const tryEach = async <A>(verify: (find: FindKey) => Promise<A>, error: unknown): Promise<A | Error> => {
  if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return asError(error)
  let tries = 0
  for await (const key of error) {
    if (++tries > maxTries) break
    const result = await verify(async () => key).catch(asError)
    if (!(result instanceof errors.JWSSignatureVerificationFailed)) return result
  }
  return new errors.JWSSignatureVerificationFailed()
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error("not verified"))

const fetchKeys = async (url: string, timeoutSeconds: number): Promise<JSONWebKeySet> => {
  const response = await boundedFetch(url, {
    method: "GET",
    headers: { accept: "application/json, application/jwk-set+json" },
    redirect: "manual",
    body: null,
    signal: AbortSignal.timeout(timeoutSeconds * 1000)
  })
  if (response.status !== 200) throw new TypeError(`keys answered ${response.status}`)
  const { keys } = decodeKeySet(await response.json())
  // What is no key costs nothing but itself. jose checks each key where it is used.
  return { keys: keys.filter(isObject) } as JSONWebKeySet
}

const isObject = (key: unknown): boolean => typeof key === "object" && key !== null && !Array.isArray(key)
