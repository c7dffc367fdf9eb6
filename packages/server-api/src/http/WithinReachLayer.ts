import * as EdgeReach from "@edge-relay/domain/access-tokens/EdgeReach"
import { noSuchEdge, WithinReach } from "@edge-relay/domain/api/WithinReach"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter } from "effect/http"
import * as Audited from "./Audited.ts"

const isEdgeId = Schema.is(EdgeId)

export const layer = Layer.effect(
  WithinReach,
  Effect.map(Edges, (edges) =>
    WithinReach.of(
      Effect.fnUntraced(function* (httpEffect) {
        const { tenantId, token } = yield* CurrentUser
        const { edgeId } = yield* HttpRouter.params
        if (token === null || token.reach === null || !isEdgeId(edgeId)) return yield* httpEffect
        const edge = yield* edges.get(tenantId, edgeId).pipe(
          Effect.catchTag("EdgeNotFound", () => noSuchEdge),
          Audited.orUnavailable
        )
        return EdgeReach.includes(token.reach, edge) ? yield* httpEffect : yield* noSuchEdge
      })
    )
  )
)
