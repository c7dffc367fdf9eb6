import { Context, DateTime, Duration, Effect, Layer, Option, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { AccessTokens, type IssuedTerminal } from "../access-tokens/AccessTokens.ts"
import { scopes } from "../access-tokens/Scope.ts"
import { TerminalRequestId } from "../ids/TerminalRequestId.ts"
import * as TypeId from "../ids/TypeId.ts"
import { type BegunPairing, CodeNotOpen, PollRefused } from "../pairing/Pairing.ts"
import * as UserCode from "../pairing/UserCode.ts"
import * as Secret from "../Secret.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"
import { Transaction } from "../Transaction.ts"
import { type Approver, TerminalRequest, TerminalRequests } from "./TerminalRequests.ts"

/**
 * How a person signs in from a terminal: a request is begun there and approved in a browser, by somebody who is signed
 * in and becomes who the terminal acts for (RFC 8628). What it gets is an access token and what refreshes it.
 */

/** How long a request is open. */
const openFor = Duration.minutes(10)
/** How long to wait between two polls (RFC 8628 §3.2), and the most that `slow_down` makes of it. */
const pollSeconds = 5
const maxPollSeconds = 60
/** A poll may be on the way for longer than the one before it. */
const pollGraceMillis = 1000

export class TerminalSignIn extends Context.Service<
  TerminalSignIn,
  {
    readonly begin: (terminal: {
      readonly hostname: string
      readonly address?: string | undefined
    }) => Effect.Effect<BegunPairing, StorageUnavailable>
    readonly poll: (
      deviceCode: Redacted.Redacted<string>
    ) => Effect.Effect<IssuedTerminal, PollRefused | StorageUnavailable>
    /** What is asking, while nobody has decided: any signed-in user who was told the code may look. */
    readonly request: (
      userCode: Redacted.Redacted<string>
    ) => Effect.Effect<TerminalRequest, CodeNotOpen | StorageUnavailable>
    readonly decide: (
      decision: "approved" | "denied",
      approver: Approver,
      userCode: Redacted.Redacted<string>
    ) => Effect.Effect<TerminalRequest, CodeNotOpen | StorageUnavailable>
  }
>()("@edge-relay/domain/sign-in/TerminalSignIn") {
  /** `absolute`: after how long one has to sign in anew, as in a browser. */
  static readonly layer = (options: { readonly absolute: Duration.Duration }) =>
    Layer.effect(
      TerminalSignIn,
      Effect.suspend(() => make(options))
    )
}

const make = Effect.fnUntraced(function* ({ absolute }: { readonly absolute: Duration.Duration }) {
  const requests = yield* TerminalRequests
  const tokens = yield* AccessTokens
  const transaction = yield* Transaction
  const crypto = yield* Effect.context<SecureRandom.SecureRandom | Digest.Digest>()

  const pending = Effect.fnUntraced(function* (typed: Redacted.Redacted<string>, now: DateTime.Utc) {
    const code = yield* Effect.mapError(Effect.fromOption(UserCode.parse(typed)), () => new CodeNotOpen())
    const hash = yield* Effect.provideContext(Secret.hash(code), crypto)
    const found = yield* requests.findPending(hash, now)
    return yield* Effect.mapError(Effect.fromOption(found), () => new CodeNotOpen())
  })

  return TerminalSignIn.of({
    begin: Effect.fn("TerminalSignIn.begin")(function* ({ hostname, address = null }) {
      const createdAt = yield* DateTime.now
      const expiresAt = DateTime.addDuration(createdAt, openFor)
      const id = TerminalRequestId.make(yield* TypeId.make("treq"))
      const request = new TerminalRequest({ id, hostname, address, createdAt, expiresAt })
      const secret = yield* Secret.make("")
      const deviceCode = yield* Secret.hash(secret)
      // The chance of a second try is about one in a hundred million.
      while (true) {
        const userCode = yield* UserCode.make
        const hashes = { deviceCode, userCode: yield* Secret.hash(userCode) }
        if (!(yield* requests.insert(hashes, request, pollSeconds))) continue
        const expiresInSeconds = Duration.toSeconds(openFor)
        return { deviceCode: secret, userCode, expiresInSeconds, intervalSeconds: pollSeconds }
      }
    }, Effect.provideContext(crypto)),

    poll: Effect.fn("TerminalSignIn.poll")(function* (deviceCode) {
      const now = yield* DateTime.now
      const hash = yield* Effect.provideContext(Secret.hash(deviceCode), crypto)
      const found = Option.getOrUndefined(yield* requests.findByDevice(hash))
      if (found === undefined || !DateTime.isLessThan(now, found.request.expiresAt)) {
        return yield* new PollRefused({ reason: "expired_token" })
      }
      const { approver, decision, intervalSeconds, lastPolledAt, request } = found
      if (decision === "denied") return yield* new PollRefused({ reason: "access_denied" })
      if (decision === null || approver === null) {
        const earliest = (lastPolledAt?.epochMilliseconds ?? 0) + intervalSeconds * 1000 - pollGraceMillis
        const early = now.epochMilliseconds < earliest
        yield* requests.polled(
          request.id,
          now,
          early ? Math.min(intervalSeconds + 5, maxPollSeconds) : intervalSeconds
        )
        return yield* new PollRefused({ reason: early ? "slow_down" : "authorization_pending" })
      }
      const { address, hostname } = request
      // Taken first: a store that cannot roll back then gives nothing, rather than two.
      return yield* transaction.run(
        Effect.gen(function* () {
          if (!(yield* requests.take(request.id, now))) {
            return yield* new PollRefused({ reason: "expired_token" })
          }
          const endsAt = DateTime.addDuration(now, absolute)
          return yield* tokens.createTerminal({
            ...approver,
            scopes,
            endsAt,
            terminal: { hostname, address }
          })
        })
      )
    }),

    request: Effect.fn("TerminalSignIn.request")(function* (userCode) {
      return yield* pending(userCode, yield* DateTime.now)
    }),

    decide: Effect.fn("TerminalSignIn.decide")(function* (decision, approver, userCode) {
      const now = yield* DateTime.now
      const request = yield* pending(userCode, now)
      if (!(yield* requests.decide(request.id, decision, approver, now))) return yield* new CodeNotOpen()
      return request
    })
  })
})
