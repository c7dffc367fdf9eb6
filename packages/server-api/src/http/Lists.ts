import { InvalidRequest } from "@edge-relay/domain/api/Problem"
import type { InvalidCursor, Paged, PageQuery } from "@edge-relay/domain/Paged"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { Effect } from "effect"

/** Items of a page where the caller does not say how many. */
const defaultLimit = 50

/** Asks a repository for a page; a cursor that it never gave out is the caller's mistake. */
export const page = <A>(
  query: { readonly limit?: number; readonly cursor?: string },
  list: (page: PageQuery) => Effect.Effect<Paged<A>, InvalidCursor | StorageUnavailable>
): Effect.Effect<Paged<A>, InvalidRequest | StorageUnavailable> =>
  Effect.catchTag(list({ limit: query.limit ?? defaultLimit, cursor: query.cursor }), "InvalidCursor", () =>
    Effect.fail(
      new InvalidRequest({
        detail: "cursor: is not one that this list gave out.",
        errors: [{ path: "cursor", message: "is not one that this list gave out" }]
      })
    )
  )
