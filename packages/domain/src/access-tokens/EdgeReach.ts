import { Schema } from "effect"
import { EdgeId } from "../ids/EdgeId.ts"

/** Which of a tenant's edges a token is good for: those named, and those that have any of the labels. */
export const EdgeReach = Schema.Struct({
  ids: Schema.Array(EdgeId).check(Schema.isMaxLength(100)),
  labels: Schema.Array(Schema.String).check(Schema.isMaxLength(32))
})
export type EdgeReach = typeof EdgeReach.Type

/** Whether an edge is within reach; null reaches all of the tenant's. Whose the edge is has been asked before. */
export const includes = (
  reach: EdgeReach | null,
  edge: { readonly id: EdgeId; readonly labels: ReadonlyArray<string> }
): boolean =>
  reach === null || reach.ids.includes(edge.id) || edge.labels.some((label) => reach.labels.includes(label))
