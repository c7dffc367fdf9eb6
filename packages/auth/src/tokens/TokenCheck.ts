import * as AccessTokenSecret from "@edge-relay/domain/access-tokens/AccessTokenSecret"
import { type AccessToken, AccessTokens } from "@edge-relay/domain/access-tokens/AccessTokens"
import type { AccessTokenId } from "@edge-relay/domain/ids/AccessTokenId"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Clock, Context, DateTime, Effect, Layer, Option, Schedule } from "effect"
import { hash } from "node:crypto"
import * as Bearer from "./Bearer.ts"
import { ServiceToken, ServiceTokens } from "./ServiceTokens.ts"

/**
 * Whose a personal access token is. What is found is kept for half a second, so that a revoked token is of no more
 * use within one, in every server; what is not found is not kept. For the gateway, which has no fiber to spare,
 * `peek` is synchronous.
 */
export class TokenCheck extends Context.Service<
  TokenCheck,
  {
    /** The token of ours in an `Authorization` header, good or not; undefined where it is about something else. */
    readonly tokenOf: (authorization: string | undefined) => string | undefined
    /** The live token of that text, if there is one. */
    readonly find: (text: string) => Effect.Effect<Option.Option<AccessToken>, StorageUnavailable>
    /** What memory knows; undefined says nothing but that it does not: ask `find`. */
    readonly peek: (text: string, now: number) => AccessToken | undefined
    /** The token is used, from that address: noted once a minute, and when the address changes. */
    readonly touch: (token: AccessToken, address: string, now: number) => void
    /** Calls back once, within a second of the token's end, wherever it was ended. Answers how to stop. */
    readonly watch: (token: AccessToken, onEnded: () => void) => () => void
  }
>()("@edge-relay/auth/tokens/TokenCheck") {
  static readonly layer = Layer.effect(
    TokenCheck,
    Effect.suspend(() => make)
  )
}

const keptMillis = 500
const lookMillis = 500
const touchMillis = 60_000
/** Tokens remembered, each some 500 bytes; the one remembered for longest is forgotten for the next. */
const maxKept = 10_000

interface Watched {
  readonly token: AccessToken
  readonly callbacks: Set<() => void>
}

const make = Effect.gen(function* () {
  const tokens = yield* AccessTokens
  const services = Option.getOrUndefined(yield* Effect.serviceOption(ServiceTokens))
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const scope = yield* Effect.scope
  const kept = new Map<string, { readonly token: AccessToken; readonly until: number }>()
  const touched = new Map<AccessTokenId, { readonly address: string; readonly at: number }>()
  const watched = new Map<AccessTokenId, Watched>()

  const end = (id: AccessTokenId): void => {
    const entry = watched.get(id)
    watched.delete(id)
    for (const callback of entry?.callbacks ?? []) callback()
  }

  const look = Effect.gen(function* () {
    if (watched.size === 0) return
    const now = yield* Clock.currentTimeMillis
    for (const [id, { token }] of watched) if (token.endsAt.epochMilliseconds <= now) end(id)
    const asked = Array.from(watched.values(), ({ token }) => token)
      .filter((token) => !(token instanceof ServiceToken))
      .map(({ id }) => id)
    const live = new Set(yield* tokens.live(asked))
    for (const id of asked) if (!live.has(id)) end(id)
  })

  // While the database is away nobody can revoke a token; its expiry is looked at all the same.
  yield* Effect.forkScoped(Effect.repeat(Effect.ignore(look), Schedule.spaced(lookMillis)))

  const peek = (text: string, now: number): AccessToken | undefined => {
    if (!AccessTokenSecret.isWellFormed(text)) return services?.peek(text, now)
    const found = kept.get(hashOf(text))
    return found !== undefined && found.until > now && isLive(found.token, now) ? found.token : undefined
  }

  return TokenCheck.of({
    tokenOf: (authorization) => Bearer.tokenOf(authorization, services?.isOurs),

    find: Effect.fnUntraced(function* (text) {
      // Neither made up nor mistyped: only then is anybody asked.
      if (!AccessTokenSecret.isWellFormed(text)) {
        return services === undefined || !services.isOurs(text) ? Option.none() : yield* services.find(text)
      }
      const now = yield* Clock.currentTimeMillis
      const known = peek(text, now)
      if (known !== undefined) return Option.some(known)
      const key = hashOf(text)
      const found = yield* tokens.find(key)
      kept.delete(key)
      if (Option.isSome(found)) remember(kept, key, { token: found.value, until: now + keptMillis })
      return found
    }),

    peek,

    touch: (token, address, now) => {
      if (token instanceof ServiceToken) return
      const last = touched.get(token.id)
      if (last !== undefined && last.address === address && now - last.at < touchMillis) return
      touched.delete(token.id)
      remember(touched, token.id, { address, at: now })
      fork(
        tokens.used(token.id, DateTime.makeUnsafe(now), address).pipe(
          // It was used, noted or not; the store says in the log that it is away.
          Effect.ignore,
          Effect.forkIn(scope)
        )
      )
    },

    watch: (token, onEnded) => {
      const entry = watched.get(token.id) ?? { token, callbacks: new Set() }
      watched.set(token.id, entry)
      // A function of its own: the same callback given twice is two watchers.
      const callback = () => onEnded()
      entry.callbacks.add(callback)
      return () => {
        entry.callbacks.delete(callback)
        if (entry.callbacks.size === 0 && watched.get(token.id) === entry) watched.delete(token.id)
      }
    }
  })
})

/** As `Secret.hash`, synchronously. */
const hashOf = (text: string): string => hash("sha256", text, "base64url")

const isLive = ({ expiresAt }: AccessToken, now: number): boolean => expiresAt.epochMilliseconds > now

const remember = <Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void => {
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > maxKept && oldest !== undefined) map.delete(oldest)
}
