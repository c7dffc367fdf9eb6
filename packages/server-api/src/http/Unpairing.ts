import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { Transaction } from "@edge-relay/domain/Transaction"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { Traffic } from "@edge-relay/gateway/traffic/Traffic"
import { Effect, type Redacted } from "effect"
import type { HttpServerRequest } from "effect/http"
import * as Audited from "./Audited.ts"

/** A machine gives up its place: its edge is removed, as by a person, and with it its tokens. */
export const make = Effect.gen(function* () {
  const audit = yield* AuditLog
  const edges = yield* Edges
  const presence = yield* Presence
  const tokens = yield* SessionTokens
  const traffic = yield* Traffic
  const transaction = yield* Transaction

  /** Fails with TokenRejected where the token is nobody's. */
  return Effect.fn("Unpairing.unpair")(function* (
    secret: Redacted.Redacted<string>,
    request: HttpServerRequest.HttpServerRequest
  ) {
    const { edgeId, tenantId } = yield* tokens.authenticate(secret)
    const entry = {
      action: "edge.removed",
      outcome: "success",
      tenantId,
      edgeId,
      actor: edgeId,
      detail: "unpaired by the machine"
    } as const
    yield* (
      transaction
        .run(
          Effect.andThen(
            edges.remove(tenantId, edgeId),
            audit.record({ ...entry, ...Audited.origin(request) })
          )
        )
        // Somebody removed it in the same moment.
        .pipe(Effect.catchTag("EdgeNotFound", () => Effect.void))
    )
    traffic.forget(edgeId)
    yield* Effect.ignore(presence.close(edgeId, "revoked"), {
      log: "Warn",
      message: "the proxy could not be told that an edge was removed"
    })
  })
})
