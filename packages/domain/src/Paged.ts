import { Schema } from "effect"

/** A page of a list. `nextCursor` is opaque to its holder, and null on the last page. */
export interface Paged<A> {
  readonly items: ReadonlyArray<A>
  readonly nextCursor: string | null
}

/** What a list is asked for: at most `limit` items, from `cursor` on. */
export interface PageQuery {
  readonly limit: number
  readonly cursor?: string | undefined
}

/** A cursor that none of our lists gave out. */
export class InvalidCursor extends Schema.TaggedError<InvalidCursor>()("InvalidCursor", {
  cursor: Schema.String
}) {
  override get message(): string {
    return `invalid cursor ${JSON.stringify(this.cursor)}`
  }
}

/** Makes a page of what a store answered to `limit + 1`: the extra item only tells that there is a next page. */
export const of = <A>(found: ReadonlyArray<A>, limit: number, cursorOf: (item: A) => string): Paged<A> => {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  return { items, nextCursor: found.length > limit && last !== undefined ? cursorOf(last) : null }
}
