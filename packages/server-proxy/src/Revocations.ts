import { Effect, Layer, Schedule } from "effect"
import { type EdgeEvent, EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { TunnelServer } from "@edge-relay/tunnel/proxy/TunnelServer"

/**
 * Closes the tunnels of tokens that are revoked and of edges that are removed, whoever did it and wherever:
 * within half a second of the database knowing. What is revoked while the database is away is closed when it is
 * back.
 */
export const layer = Layer.effectDiscard(
  Effect.gen(function* () {
    const events = yield* EdgeEvents
    const tunnels = yield* TunnelServer
    let seen: number | undefined

    const apply = (event: EdgeEvent) => {
      if (event.type === "token.revoked") {
        return tunnels.close((token) => token.tokenId === event.tokenId, "revoked")
      }
      return event.type === "edge.removed"
        ? tunnels.close((token) => token.edgeId === event.edgeId, "revoked")
        : Effect.void
    }

    const follow = Effect.gen(function* () {
      // What came before the first look was known when the first token was checked.
      seen ??= yield* events.latest
      let batch: ReadonlyArray<EdgeEvent>
      do {
        batch = yield* events.allSince(seen, BATCH)
        for (const event of batch) {
          yield* apply(event)
          seen = event.id
        }
      } while (batch.length === BATCH)
    })

    let isAway = false
    const look = Effect.matchEffect(follow, {
      onSuccess: () => {
        const wasAway = isAway
        isAway = false
        return wasAway ? Effect.logInfo("revocations are followed again") : Effect.void
      },
      onFailure: (error) => {
        const wasAway = isAway
        isAway = true
        return wasAway ? Effect.void : Effect.logWarning("revocations cannot be followed", error)
      }
    })
    yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced("500 millis")))
  })
)

const BATCH = 1_000
