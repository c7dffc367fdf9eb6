import { shownName } from "@edge-relay/domain/pairing/ShownName"
import * as UserCode from "@edge-relay/domain/pairing/UserCode"
import { DateTime, Effect, Option, Redacted } from "effect"

/**
 * What a person sees of a request that a machine began, before the rest: its code as it is spelled, how long ago that was
 * by our clock, and its host name told as what it is (RFC 8628 §5.4).
 */
export const seen = (
  typed: string,
  { createdAt, hostname }: { readonly createdAt: DateTime.Utc; readonly hostname: string }
) =>
  Effect.map(DateTime.now, (now) => ({
    userCode: Option.match(UserCode.parse(Redacted.make(typed)), {
      onNone: () => typed,
      onSome: Redacted.value
    }),
    ageSeconds: Math.max(0, Math.floor((now.epochMilliseconds - createdAt.epochMilliseconds) / 1000)),
    shown: { hostname: shownName(hostname) }
  }))
