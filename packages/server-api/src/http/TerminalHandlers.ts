import * as MachineRequests from "./MachineRequests.ts"
import {
  type AccessToken,
  AccessTokens,
  type IssuedTerminal
} from "@edge-relay/domain/access-tokens/AccessTokens"
import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { InvalidGrant, NotFound } from "@edge-relay/domain/api/Problem"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import { TerminalSignIn } from "@edge-relay/domain/sign-in/TerminalSignIn"
import { Clock, Effect, Layer, Option, Redacted } from "effect"
import type { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { Config } from "../Config.ts"
import * as Audited from "./Audited.ts"
import { Limits } from "./conventions/Limits.ts"
import * as UserCodes from "./UserCodes.ts"

export const layer = Layer.suspend(() => Layer.mergeAll(layerTerminal, layerPerson))

/** What a terminal calls, which has nothing yet, or a refresh token. */
const layerTerminal = HttpApiBuilder.group(
  CloudApi,
  "terminal",
  Effect.fnUntraced(function* (handlers) {
    const signIn = yield* TerminalSignIn
    const tokens = yield* AccessTokens
    const audit = yield* AuditLog
    const limits = yield* Limits
    const { publicUrl } = yield* Config

    const record = (
      action: "terminal.signed_in" | "terminal.refresh_reused",
      { id, tenantId, userId }: AccessToken,
      request: HttpServerRequest.HttpServerRequest
    ) => {
      const outcome = action === "terminal.signed_in" ? "success" : "failure"
      return audit
        .record({ action, outcome, tenantId, actor: userId, detail: id, ...Audited.origin(request) })
        .pipe(Effect.ignore({ log: "Error", message: "a terminal could not be written to the audit log" }))
    }

    const given = Effect.fnUntraced(function* ({ refresh, secret, token }: IssuedTerminal) {
      const now = yield* Clock.currentTimeMillis
      return {
        accessToken: Redacted.value(secret),
        expiresIn: Math.max(0, Math.floor((token.expiresAt.epochMilliseconds - now) / 1000)),
        refreshToken: Redacted.value(refresh),
        endsAt: token.endsAt
      }
    })

    return handlers.handleAll({
      begin: ({ payload: { hostname }, request }) =>
        Effect.gen(function* () {
          yield* limits.check("pairingBegin", UserCodes.addressOf(request))
          const address = Option.getOrUndefined(request.remoteAddress)
          const begun = yield* signIn.begin({ hostname, address })
          const userCode = Redacted.value(begun.userCode)
          return {
            deviceCode: Redacted.value(begun.deviceCode),
            userCode,
            verificationUri: new URL("/terminal", publicUrl).href,
            verificationUriComplete: new URL(`/terminal?code=${userCode}`, publicUrl).href,
            expiresIn: begun.expiresInSeconds,
            interval: begun.intervalSeconds
          }
        }).pipe(Audited.orUnavailable),

      poll: ({ payload: { deviceCode }, request }) =>
        Effect.gen(function* () {
          const issued = yield* limits.guess(
            "pairingPoll",
            UserCodes.addressOf(request),
            signIn.poll(Redacted.make(deviceCode)),
            (error) => error._tag === "PollRefused" && error.reason !== "authorization_pending"
          )
          yield* record("terminal.signed_in", issued.token, request)
          return yield* given(issued)
        }).pipe(Effect.catchTag("PollRefused", UserCodes.refusePoll), Audited.orUnavailable),

      refresh: ({ payload: { refreshToken }, request }) =>
        Effect.gen(function* () {
          const issued = yield* limits.guess(
            "pairingPoll",
            UserCodes.addressOf(request),
            tokens.refresh(Redacted.make(refreshToken)),
            ({ _tag }) => _tag === "RefreshRejected"
          )
          return yield* given(issued)
        }).pipe(
          Effect.catchTag("RefreshRejected", ({ reused }) =>
            Effect.andThen(
              reused === null ? Effect.void : record("terminal.refresh_reused", reused, request),
              Effect.fail(
                new InvalidGrant({
                  detail:
                    reused === null
                      ? "This sign-in has ended. Sign in anew."
                      : "This refresh token was used before: the sign-in has been ended. Sign in anew."
                })
              )
            )
          ),
          Audited.orUnavailable
        )
    })
  })
)

const noSuchRequest = new NotFound({ detail: "There is no open request of this code." })

const layerPerson = HttpApiBuilder.group(
  CloudApi,
  "terminalDecisions",
  Effect.fnUntraced(function* (handlers) {
    const signIn = yield* TerminalSignIn
    const tokens = yield* AccessTokens
    const audited = yield* Audited.make
    const withUserCode = UserCodes.guarded(yield* Limits)

    const decide = (decision: "approved" | "denied", userCode: string) =>
      Effect.gen(function* () {
        const { issuer, role, subject, tenantId, userId } = yield* CurrentUser
        const approver = { issuer, role, subject, tenantId, userId }
        yield* withUserCode(
          audited.together(
            ({ hostname }) => ({ action: `terminal.${decision}` as const, detail: hostname }),
            signIn.decide(decision, approver, Redacted.make(userCode))
          )
        )
      }).pipe(
        Effect.catchTag("CodeNotOpen", () => Effect.fail(noSuchRequest)),
        Audited.orUnavailable
      )

    return handlers.handleAll({
      get: ({ params: { userCode } }) =>
        Effect.gen(function* () {
          const { id: _, ...request } = yield* withUserCode(signIn.request(Redacted.make(userCode)))
          return { ...request, ...(yield* MachineRequests.seen(userCode, request)) }
        }).pipe(
          Effect.catchTag("CodeNotOpen", () => Effect.fail(noSuchRequest)),
          Audited.orUnavailable
        ),

      approve: ({ params: { userCode } }) => decide("approved", userCode),
      deny: ({ params: { userCode } }) => decide("denied", userCode),

      end: () =>
        Effect.gen(function* () {
          const { tenantId, token, userId } = yield* CurrentUser
          if (token === null || token.terminal === null) {
            return yield* new NotFound({ detail: "This is no sign-in of a terminal." })
          }
          const entry = { action: "terminal.ended", detail: token.id } as const
          yield* audited.together(entry, tokens.revoke(tenantId, userId, token.id))
        }).pipe(Audited.orUnavailable)
    })
  })
)
