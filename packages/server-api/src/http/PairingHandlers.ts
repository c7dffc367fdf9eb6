import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { InvalidCode, NotFound } from "@edge-relay/domain/api/Problem"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import { type Paired, Pairing } from "@edge-relay/domain/pairing/Pairing"
import * as MachineRequests from "./MachineRequests.ts"
import { shownName } from "@edge-relay/domain/pairing/ShownName"
import { Effect, Layer, Option, Redacted } from "effect"
import type { HttpServerRequest } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import * as Audited from "./Audited.ts"
import { Config } from "../Config.ts"
import { Downloads, hasAgent } from "../downloads/Downloads.ts"
import * as InstallScript from "../downloads/InstallScript.ts"
import { Limits } from "./conventions/Limits.ts"
import * as Lists from "./Lists.ts"
import * as Unpairing from "./Unpairing.ts"
import * as UserCodes from "./UserCodes.ts"

export const layer = Layer.suspend(() => Layer.mergeAll(layerEdge, layerPerson))

/** What an edge calls, which has nothing but a code, or gives up what it has. */
const layerEdge = HttpApiBuilder.group(
  CloudApi,
  "edgePairing",
  Effect.fnUntraced(function* (handlers) {
    const pairing = yield* Pairing
    const audit = yield* AuditLog
    const limits = yield* Limits
    const unpair = yield* Unpairing.make
    const { publicUrl, tunnelUrl } = yield* Config

    /** The edge has its token: that is never taken back because the log could not be written. */
    const paired = Effect.fnUntraced(function* (
      { edgeId, tenantId, token }: Paired,
      request: HttpServerRequest.HttpServerRequest,
      detail: string
    ) {
      const entry = {
        action: "pairing.exchanged",
        outcome: "success",
        tenantId,
        edgeId,
        actor: edgeId,
        detail
      } as const
      yield* Effect.ignore(audit.record({ ...entry, ...Audited.origin(request) }), {
        log: "Error",
        message: "a pairing could not be written to the audit log"
      })
      return { edgeId, token: Redacted.value(token), tunnelUrl }
    })

    return handlers.handleAll({
      exchange: ({ payload: { code, ...edge }, request }) =>
        Effect.gen(function* () {
          const result = yield* limits.guess(
            "pairingTry",
            UserCodes.addressOf(request),
            pairing.exchange({ code: Redacted.make(code), ...edge }),
            ({ _tag }) => _tag === "CodeNotOpen"
          )
          return yield* paired(result, request, "by code")
        }).pipe(
          Effect.catchTag("CodeNotOpen", () =>
            audit
              .record({ action: "pairing.exchanged", outcome: "failure", ...Audited.origin(request) })
              .pipe(
                Effect.andThen(
                  new InvalidCode({
                    detail: "This pairing code is wrong, has expired or has been used. Make a new one."
                  })
                )
              )
          ),
          Audited.orUnavailable
        ),

      beginRequest: ({ payload, request }) =>
        Effect.gen(function* () {
          yield* limits.check("pairingBegin", UserCodes.addressOf(request))
          const begun = yield* pairing.begin({
            ...payload,
            address: Option.getOrUndefined(request.remoteAddress)
          })
          const userCode = Redacted.value(begun.userCode)
          return {
            deviceCode: Redacted.value(begun.deviceCode),
            userCode,
            verificationUri: new URL("/pair", publicUrl).href,
            verificationUriComplete: new URL(`/pair?code=${userCode}`, publicUrl).href,
            expiresIn: begun.expiresInSeconds,
            interval: begun.intervalSeconds
          }
        }).pipe(Audited.orUnavailable),

      pollRequest: ({ payload: { deviceCode }, request }) =>
        Effect.gen(function* () {
          const result = yield* limits.guess(
            "pairingPoll",
            UserCodes.addressOf(request),
            pairing.poll(Redacted.make(deviceCode)),
            (error) => error._tag === "PollRefused" && error.reason !== "authorization_pending"
          )
          return yield* paired(result, request, "by request")
        }).pipe(Effect.catchTag("PollRefused", UserCodes.refusePoll), Audited.orUnavailable),

      unpair: ({ payload: { token }, request }) =>
        limits
          .guess(
            "pairingTry",
            UserCodes.addressOf(request),
            unpair(Redacted.make(token), request),
            ({ _tag }) => _tag === "TokenRejected"
          )
          .pipe(
            Effect.catchTag("TokenRejected", () => Effect.void),
            Audited.orUnavailable
          )
    })
  })
)

const noSuchRequest = new NotFound({ detail: "There is no open request of this code." })

/** What a signed-in person does. */
const layerPerson = HttpApiBuilder.group(
  CloudApi,
  "pairing",
  Effect.fnUntraced(function* (handlers) {
    const pairing = yield* Pairing
    const limits = yield* Limits
    const audited = yield* Audited.make
    const downloads = yield* Downloads
    const { publicUrl } = yield* Config

    const withUserCode = UserCodes.guarded(limits)

    const decide = (decision: "approve" | "deny", userCode: string) =>
      Effect.gen(function* () {
        const { tenantId, userId } = yield* CurrentUser
        const action = decision === "approve" ? "pairing.approved" : "pairing.denied"
        yield* withUserCode(
          audited.together({ action }, pairing[decision](tenantId, userId, Redacted.make(userCode)))
        )
      }).pipe(
        Effect.catchTag("CodeNotOpen", () => Effect.fail(noSuchRequest)),
        Audited.orUnavailable
      )

    return handlers.handleAll({
      createCode: ({ payload }) =>
        Effect.gen(function* () {
          const { tenantId, userId } = yield* CurrentUser
          yield* limits.check("codeCreate", tenantId)
          const created = yield* audited.together(
            { action: "pairing.code_created", detail: payload.name },
            pairing.createCode(tenantId, userId, payload)
          )
          const code = Redacted.value(created.code)
          const command = hasAgent(yield* downloads.list)
            ? InstallScript.command(publicUrl.origin, code)
            : // What a checkout has; there is nothing else that a machine could be told to run.
              `npm run agent -- pair ${code} --url ${publicUrl.origin}`
          return { id: created.id, code, expiresAt: created.expiresAt, command }
        }).pipe(Audited.orUnavailable),

      listCodes: ({ query }) =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          return yield* Lists.page(query, (page) => pairing.listCodes(tenantId, page))
        }).pipe(Audited.orUnavailable),

      cancelCode: ({ params: { id } }) =>
        Effect.gen(function* () {
          const { tenantId } = yield* CurrentUser
          yield* audited.together(
            { action: "pairing.code_cancelled", detail: id },
            pairing.cancelCode(tenantId, id)
          )
        }).pipe(
          Effect.catchTag("CodeNotOpen", () =>
            Effect.fail(new NotFound({ detail: "There is no such open code." }))
          ),
          Audited.orUnavailable
        ),

      getRequest: ({ params: { userCode } }) =>
        Effect.gen(function* () {
          const { id: _, ...request } = yield* withUserCode(pairing.request(Redacted.make(userCode)))
          const { shown, ...seen } = yield* MachineRequests.seen(userCode, request)
          const name = request.name === null ? null : shownName(request.name)
          return { ...request, ...seen, shown: { ...shown, name } }
        }).pipe(
          Effect.catchTag("CodeNotOpen", () => Effect.fail(noSuchRequest)),
          Audited.orUnavailable
        ),

      approveRequest: ({ params: { userCode } }) => decide("approve", userCode),
      denyRequest: ({ params: { userCode } }) => decide("deny", userCode)
    })
  })
)
