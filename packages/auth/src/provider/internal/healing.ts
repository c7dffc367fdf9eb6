import { Clock, Effect, Scope } from "effect"
import { ProviderUnavailable } from "../OidcError.ts"
import { coalesce } from "../../internal/coalesce.ts"

/** Metadata change seldom; a provider that moves an endpoint is followed within the hour. */
const maxAgeMillis = 3_600_000

/** Waits between failures: doubled each time, so that a provider that comes back is not run over. */
const backoffSeconds = (failures: number) => Math.min(2 ** (failures - 1), 30)

/**
 * Something fetched, shared, and kept for an hour. A failure is answered to all for as long as its backoff lasts,
 * without asking again; what was fetched before goes on being used while the provider is away.
 */
export const makeHealing = Effect.fnUntraced(function* <A>(discover: Effect.Effect<A, ProviderUnavailable>) {
  const scope = yield* Scope.Scope
  let found: { readonly value: A; readonly at: number } | undefined
  let failures = 0
  let failed: { readonly cause: unknown; readonly until: number } | undefined

  const attempt = coalesce(
    Effect.gen(function* () {
      const result = yield* Effect.result(discover)
      const now = yield* Clock.currentTimeMillis
      if (result._tag === "Failure") {
        failed = { cause: result.failure.cause, until: now + backoffSeconds(++failures) * 1000 }
        return
      }
      failures = 0
      failed = undefined
      found = { value: result.success, at: now }
    }),
    scope
  )

  const current: Effect.Effect<A, ProviderUnavailable> = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (found !== undefined && now - found.at < maxAgeMillis) return found.value
    if (failed === undefined || failed.until <= now) yield* attempt
    if (found !== undefined) return found.value
    const seconds = Math.max(1, Math.ceil(((failed?.until ?? now) - now) / 1000))
    return yield* new ProviderUnavailable({
      operation: "discovery",
      retryAfterSeconds: seconds,
      cause: failed?.cause
    })
  })

  return { current }
})
