/**
 * Lists of the edge API: `?limit=` (1–200, 50 if left out) and `?cursor=`, answered by
 * `{"items": […], "nextCursor": string | null}`. A cursor is opaque, and only good for the list it came from.
 */
import { Schema } from "effect"

/** Where `limit` is left out. */
export const defaultLimit = 50

export const EdgeListQuery = {
  limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 200 }))),
  cursor: Schema.optionalKey(Schema.String.check(Schema.isBetweenLength(1, 256)))
}

export const EdgeList = <Item extends Schema.Top>(item: Item) =>
  Schema.Struct({ items: Schema.Array(item), nextCursor: Schema.NullOr(Schema.String) })
