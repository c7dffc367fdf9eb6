/** One page of a list. The cursor is the position of the next item's id, so that pages hold as items come and go. */
import { defaultLimit } from "@edge-relay/domain/edge-api/EdgeList"
import { InvalidRequest } from "@edge-relay/domain/edge-api/EdgeProblem"
import { Effect } from "effect"

/** `items` in the list's own order; the cursor names the last item of the page before. */
export const page = Effect.fnUntraced(function* <Item extends { readonly id: string }>(
  items: ReadonlyArray<Item>,
  query: { readonly limit?: number; readonly cursor?: string }
) {
  const limit = query.limit ?? defaultLimit
  const start = query.cursor === undefined ? 0 : items.findIndex(({ id }) => id === query.cursor) + 1
  if (query.cursor !== undefined && start === 0) {
    const message = "not a cursor of this list, or what it pointed at is gone: begin again without one"
    return yield* new InvalidRequest({ detail: message, errors: [{ path: "cursor", message }] })
  }
  const shown = items.slice(start, start + limit)
  return { items: shown, nextCursor: start + limit < items.length ? (shown.at(-1)?.id ?? null) : null }
})
