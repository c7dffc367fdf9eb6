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

/** Unknown key ids that make us ask again, each minute: whoever invents key ids must not make us a flood. */
const maxRefetches = 5

/** Signatures that we verify: public keys only, so that nobody signs with what is published (RFC 8725 §3.1). */
export const algorithms: ReadonlyArray<string> =
  "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" ")

const KeySet = Schema.Struct({ keys: Schema.Array(Schema.Record(Schema.String, Schema.Unknown)) })
const decodeKeySet = Schema.decodeUnknownSync(KeySet)

/** Finds the key of a signature. Throws jose's error where there is none. */
export type FindKey = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>

/**
 * The provider's published keys. Fetched once for all who wait, and again when a signature names a key that is
 * not there: keys are rotated while sign-ins are under way.
 */
export const makeProviderKeys = (options: {
  readonly url: string
  readonly timeoutSeconds: number
  readonly scope: Scope.Scope
}) => {
  let known: { readonly find: FindKey; readonly at: number } | undefined
  let refetches: ReadonlyArray<number> = []

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

  /** Runs a verification with the keys that are known; once more with fresh ones where the key is not there. */
  return Effect.fnUntraced(function* <A>(verify: (find: FindKey) => Promise<A>) {
    const now = yield* Clock.currentTimeMillis
    const find = known !== undefined && now - known.at < maxAgeMillis ? known.find : yield* fetched
    const first = yield* attempt(verify, find)
    if (!(first instanceof errors.JWKSNoMatchingKey)) return first
    refetches = refetches.filter((at) => now - at < 60_000)
    if (refetches.length >= maxRefetches) return first
    refetches = [...refetches, now]
    return yield* attempt(verify, yield* fetched)
  })
}

/** A verification that fails is an answer like any other: jose's error. */
const attempt = <A>(verify: (find: FindKey) => Promise<A>, find: FindKey) =>
  Effect.promise(() =>
    verify(find).catch((error: unknown) => (error instanceof Error ? error : new Error("not verified")))
  )

const fetchKeys = async (url: string, timeoutSeconds: number): Promise<JSONWebKeySet> => {
  const response = await boundedFetch(url, {
    method: "GET",
    headers: { accept: "application/json, application/jwk-set+json" },
    redirect: "manual",
    body: null,
    signal: AbortSignal.timeout(timeoutSeconds * 1000)
  })
  if (response.status !== 200) throw new TypeError(`keys answered ${response.status}`)
  // jose checks each key where it is used; here it is enough that they are objects.
  return decodeKeySet(await response.json()) as unknown as JSONWebKeySet
}
