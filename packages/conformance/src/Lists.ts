/** Checks that every list of the edge API has in common: pages, limits, cursors. */
import { EdgeList } from "@edge-relay/domain/edge-api/EdgeList"
import { Effect, type Schema } from "effect"
import { ConformanceClient } from "./EdgeClient.ts"
import { expect, json, problem } from "./Expectations.ts"
import { ConformanceReport, Differs } from "./Report.ts"

/** All items of the list at `path`; none where it differs. */
export const checkList = Effect.fn("checkList")(function* <Item extends { readonly id: string }, Encoded>(
  endpoint: string,
  path: string,
  item: Schema.Codec<Item, Encoded>
) {
  const client = yield* ConformanceClient
  const { check } = yield* ConformanceReport
  const page = (query: string) =>
    Effect.flatMap(client.ask({ method: "GET", path: `${path}${query}` }), (answer) =>
      json(answer, 200, EdgeList(item))
    )

  const all = yield* check(
    endpoint,
    "lists, page by page",
    Effect.gen(function* () {
      const items: Array<Item> = []
      let cursor: string | null = ""
      while (cursor !== null) {
        const query: string = cursor === "" ? "?limit=200" : `?limit=200&cursor=${encodeURIComponent(cursor)}`
        const { items: found, nextCursor } = yield* page(query)
        items.push(...found)
        if (nextCursor === cursor) return yield* new Differs({ message: "the same cursor came twice" })
        cursor = nextCursor
      }
      const ids = new Set(items.map(({ id }) => id))
      yield* expect(ids.size === items.length, "the same id is listed twice")
      return items
    })
  )
  yield* check(
    endpoint,
    "keeps to ?limit=1",
    Effect.gen(function* () {
      const { items, nextCursor } = yield* page("?limit=1")
      yield* expect(items.length <= 1, `got ${items.length} items`)
      yield* expect(
        (nextCursor !== null) === (all ?? []).length > 1,
        `${(all ?? []).length} items, and nextCursor is ${nextCursor}`
      )
    })
  )
  for (const query of ["?limit=0", "?limit=201", "?limit=many", "?cursor=no-such-cursor"]) {
    yield* check(
      endpoint,
      `refuses ${query}`,
      Effect.flatMap(client.ask({ method: "GET", path: `${path}${query}` }), (answer) =>
        problem(answer, "invalid_request")
      )
    )
  }
  return all ?? []
})
