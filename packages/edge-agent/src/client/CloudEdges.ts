import { EdgesApi, type EdgeView } from "@edge-relay/domain/api/Edges"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Effect, Redacted, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApi, HttpApiClient } from "effect/http-api"
import { cloudClient } from "../CloudClient.ts"
import * as NetworkProblem from "../NetworkProblem.ts"
import type { CloudAccess } from "./CloudAccess.ts"

/** Edges as whoever holds the token sees them. */

/** The cloud said no, or could not be asked, or there is not one edge that was meant. The message is for a person. */
export class EdgeUnknown extends Schema.TaggedError<EdgeUnknown>()("EdgeUnknown", {
  message: Schema.String
}) {}

class EdgesOnly extends HttpApi.make("edge-relay").add(EdgesApi) {}

type View = typeof EdgeView.Type

const isEdgeId = Schema.is(EdgeId)
const pageItems = 200

/** All of them, oldest first; only those with that text in their name, where one is given. */
export const list = Effect.fnUntraced(function* (access: CloudAccess, q?: string) {
  const token = yield* access.token
  const found: Array<View> = []
  yield* Effect.gen(function* () {
    const client = yield* HttpApiClient.make(EdgesOnly, {
      transformClient: HttpClient.mapRequest((request) =>
        request.pipe(
          HttpClientRequest.prependUrl(access.url.origin),
          HttpClientRequest.bearerToken(Redacted.value(token))
        )
      )
    })
    let cursor: string | null = null
    do {
      const query = {
        limit: pageItems,
        ...(q === undefined ? {} : { q }),
        ...(cursor === null ? {} : { cursor })
      }
      const page: { readonly items: ReadonlyArray<View>; readonly nextCursor: string | null } =
        yield* client.edges.list({ query })
      found.push(...page.items)
      cursor = page.nextCursor
    } while (cursor !== null)
  }).pipe(Effect.mapError(explain(access.url)), Effect.provide(cloudClient(access)))
  return found
})

/** The id of the edge that somebody means, by its id or its name. An id is not looked up: that needs no right to list. */
export const find = Effect.fnUntraced(function* (access: CloudAccess, edge: string) {
  if (isEdgeId(edge)) return edge
  const named = (yield* list(access, edge)).filter(({ name }) => name.toLowerCase() === edge.toLowerCase())
  const [first, ...others] = named
  if (first === undefined) {
    return yield* new EdgeUnknown({ message: `no edge is called ${JSON.stringify(edge)}` })
  }
  if (others.length > 0) {
    const ids = named.map(({ id }) => id).join(", ")
    return yield* new EdgeUnknown({
      message: `${named.length} edges are called ${JSON.stringify(edge)}: name one by its id (${ids})`
    })
  }
  return first.id
})

const explain =
  (url: URL) =>
  (error: { readonly _tag: string }): EdgeUnknown => {
    const said: Readonly<Record<string, string>> = {
      unauthorized: "the access token is wrong, has expired or was revoked",
      insufficient_scope: "the access token may not list edges (scope edges:read): name the edge by its id",
      too_many_requests: "too many requests: try again in a minute",
      storage_unavailable: "the cloud cannot reach its database right now: try again in a moment"
    }
    return new EdgeUnknown({
      message:
        said[error._tag] ??
        (error._tag === "HttpClientError"
          ? NetworkProblem.explain(url, error)
          : `${url.origin} does not answer as Edge Relay does: is the address right?`)
    })
  }
