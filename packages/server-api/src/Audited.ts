import { StorageUnavailable } from "@edge-relay/domain/api/Problem"
import { AuditLog, type NewAuditEntry } from "@edge-relay/domain/AuditLog"
import { CurrentUser } from "@edge-relay/domain/CurrentUser"
import * as Domain from "@edge-relay/domain/StorageUnavailable"
import { Transaction } from "@edge-relay/domain/Transaction"
import { Effect, Option } from "effect"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as RequestId from "./RequestId.ts"

/** What a request is known by in the audit log. */
export const origin = ({ headers, remoteAddress }: HttpServerRequest.HttpServerRequest) => ({
  requestId: RequestId.of(headers),
  address: Option.getOrUndefined(remoteAddress)
})

/**
 * Gives `run(action, effect)`: does what a signed-in person asked for and writes down that they did, both or
 * neither where the store can.
 */
export const make = Effect.gen(function* () {
  const audit = yield* AuditLog
  const transaction = yield* Transaction

  return <A, E, R>(
    entry: Pick<NewAuditEntry, "action" | "edgeId" | "detail">,
    effect: Effect.Effect<A, E, R>
  ) =>
    Effect.gen(function* () {
      const user = yield* CurrentUser
      const request = yield* HttpServerRequest.HttpServerRequest
      return yield* transaction.run(
        Effect.tap(effect, () =>
          audit.record({
            ...entry,
            ...origin(request),
            outcome: "success",
            tenantId: user.tenantId,
            actor: user.userId
          })
        )
      )
    })
})

/** How soon to come again when the database is away, in seconds. */
const retrySeconds = "5"

/** The database is away: its own module logs why, and how often; the caller is told to come back. */
export const orUnavailable = <A, E, R>(effect: Effect.Effect<A, E | Domain.StorageUnavailable, R>) =>
  Effect.catchIf(effect, isStorageUnavailable, (error) =>
    Effect.logDebug(error.message).pipe(
      Effect.andThen(
        HttpEffect.appendPreResponseHandler((_request, response) =>
          Effect.succeed(HttpServerResponse.setHeader(response, "retry-after", retrySeconds))
        )
      ),
      Effect.andThen(
        Effect.fail(new StorageUnavailable({ detail: "The database does not answer. Nothing was changed." }))
      )
    )
  )

const isStorageUnavailable = <E>(error: E | Domain.StorageUnavailable): error is Domain.StorageUnavailable =>
  error instanceof Domain.StorageUnavailable
