import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Effect, Layer, Schedule } from "effect"
import { Traffic } from "../traffic/Traffic.ts"

/**
 * What is remembered of an edge goes when the edge does, whichever server removed it, and whether anybody listens
 * to events or not.
 */
export const layer = ({ everyMillis = 5000 }: { readonly everyMillis?: number } = {}) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const events = yield* EdgeEvents
      const traffic = yield* Traffic
      /** Undefined until it is known where to begin: nothing is remembered of what was removed before. */
      let seen: number | undefined
      let gone: ReadonlyArray<EdgeId> = []

      const look = Effect.gen(function* () {
        if (seen === undefined) {
          seen = yield* events.latest
          return
        }
        const found = yield* events.allSince(seen, pageEvents)
        seen = found.at(-1)?.id ?? seen
        const removed = found.filter(({ type }) => type === "edge.removed").map(({ edgeId }) => edgeId)
        // Twice: requests that were under way end within a second of the removal, and are recorded then.
        for (const edgeId of [...gone, ...removed]) traffic.forget(edgeId)
        gone = removed
      })

      // While the database is away, nothing is removed; the next look sees what was before.
      yield* Effect.forkScoped(Effect.repeat(Effect.ignore(look), Schedule.spaced(everyMillis)))
    })
  )

/** The rest is seen the next time: nobody waits for it. */
const pageEvents = 5000
