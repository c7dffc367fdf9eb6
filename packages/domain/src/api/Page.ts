import { Schema } from "effect"

/** The query of a list: how many (1–200, 50 if left out) and from where. */
export const pageQuery = {
  limit: Schema.optionalKey(
    Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 200 }))
  ),
  cursor: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(512)))
}

/** A page of a list; `nextCursor` is null on the last one. */
export const Page = <Item extends Schema.Top>(item: Item) =>
  Schema.Struct({ items: Schema.Array(item), nextCursor: Schema.NullOr(Schema.String) })
