import { Effect, Layer, Stream } from "effect"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { TunnelServer } from "@edge-relay/tunnel/proxy/TunnelServer"

/** Enters into the audit log that two machines fight for one token: somebody may have copied it. */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const audit = yield* AuditLog
    const tunnels = yield* TunnelServer
    yield* tunnels.events.pipe(
      Stream.runForEach((event) =>
        event.type === "contended" && event.contended
          ? audit
              .record({
                action: "edge.token_contended",
                outcome: "failure",
                tenantId: event.tenantId,
                edgeId: event.edgeId,
                actor: event.edgeId,
                detail: `token ${event.tokenId}`
              })
              .pipe(Effect.catch((error) => Effect.logError("contention not recorded", error)))
          : Effect.void
      ),
      Effect.forkScoped
    )
  })
)
