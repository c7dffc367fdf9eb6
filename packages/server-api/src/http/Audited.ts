import type { AccessToken } from "@edge-relay/domain/access-tokens/AccessTokens"
import { StorageUnavailable } from "@edge-relay/domain/api/Problem"
import { AuditLog, type NewAuditEntry } from "@edge-relay/domain/audit/AuditLog"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import * as Domain from "@edge-relay/domain/StorageUnavailable"
import { Transaction } from "@edge-relay/domain/Transaction"
import { Effect, Option } from "effect"
import { HttpServerRequest } from "effect/http"
import * as RequestId from "@edge-relay/server-kit/RequestId"
import * as RetryAfter from "./conventions/RetryAfter.ts"

/** What a request is known by in the audit log. */
export const origin = ({ headers, remoteAddress }: HttpServerRequest.HttpServerRequest) => ({
  requestId: RequestId.of(headers),
  address: Option.getOrUndefined(remoteAddress)
})

type Entry = Pick<NewAuditEntry, "action" | "edgeId" | "detail">

/** Writes down what a signed-in person did. */
export const make = Effect.gen(function* () {
  const audit = yield* AuditLog
  const transaction = yield* Transaction

  const record = Effect.fnUntraced(function* (entry: Entry) {
    const user = yield* CurrentUser
    const request = yield* HttpServerRequest.HttpServerRequest
    const who = { tenantId: user.tenantId, actor: user.userId }
    const detail = user.token === null ? entry.detail : byToken(user.token, entry.detail)
    yield* audit.record({ ...entry, ...who, ...origin(request), detail, outcome: "success" })
  })

  return {
    record,
    /** Does what was asked for, in the database, and writes it down: both or neither, where the store can. */
    together: <A, E, R>(entry: Entry | ((done: A) => Entry), effect: Effect.Effect<A, E, R>) =>
      transaction.run(Effect.tap(effect, (done) => record(typeof entry === "function" ? entry(done) : entry)))
  }
})

/** What a token did, its owner did, by this token. */
const byToken = ({ id }: AccessToken, detail: string | undefined): string =>
  detail === undefined ? `by ${id}` : `${detail}; by ${id}`

/** The database is away: its own module logs why, and how often; the caller is told to come back. */
export const orUnavailable = <A, E, R>(effect: Effect.Effect<A, E | Domain.StorageUnavailable, R>) =>
  Effect.catchIf(effect, isStorageUnavailable, (error) =>
    Effect.andThen(
      Effect.logDebug(error.message),
      RetryAfter.fail(
        new StorageUnavailable({ detail: "The database does not answer. Nothing was changed." }),
        Domain.StorageUnavailable.retryAfterSeconds
      )
    )
  )

const isStorageUnavailable = <E>(error: E | Domain.StorageUnavailable): error is Domain.StorageUnavailable =>
  error instanceof Domain.StorageUnavailable
