import { EdgeId } from "../ids/EdgeId.ts"
import { Context, DateTime, Effect, Layer, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import * as EdgeReach from "../access-tokens/EdgeReach.ts"
import type { TenantId } from "../ids/TenantId.ts"
import { EdgeEvents } from "./EdgeEvents.ts"
import * as Paged from "../Paged.ts"
import type { InvalidCursor } from "../Paged.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"
import * as TypeId from "../ids/TypeId.ts"

/**
 * The edges of each tenant. An edge of another tenant is not found, like one that never was. Every change is
 * told to {@link EdgeEvents} together with itself.
 */

/** A machine behind NAT, with our agent on it. Whether it is online is its proxy's to know. */
export class Edge extends Schema.Class<Edge>("@edge-relay/domain/Edge")({
  id: EdgeId,
  name: Schema.String,
  /** Sorted, each once. */
  labels: Schema.Array(Schema.String),
  createdAt: Schema.DateTimeUtc
}) {}

export class EdgeNotFound extends Schema.TaggedError<EdgeNotFound>()("EdgeNotFound", { edgeId: EdgeId }) {
  override get message(): string {
    return `no edge ${this.edgeId}`
  }
}

export interface NewEdge {
  /** Made anew where it is left out. */
  readonly id?: EdgeId
  readonly name: string
  readonly labels?: ReadonlyArray<string>
}

export interface EdgeChanges {
  readonly name?: string | undefined
  /** All of them: what is not named is taken off. */
  readonly labels?: ReadonlyArray<string> | undefined
}

export interface EdgeQuery extends Paged.PageQuery {
  readonly label?: string | undefined
  /** Part of the name, whatever its case. */
  readonly q?: string | undefined
  /** Only these. */
  readonly ids?: ReadonlyArray<EdgeId> | undefined
  /** All but these. */
  readonly exceptIds?: ReadonlyArray<EdgeId> | undefined
  /** Only what a token reaches. */
  readonly reach?: EdgeReach.EdgeReach | null | undefined
}

export class Edges extends Context.Service<
  Edges,
  {
    readonly create: (tenantId: TenantId, edge: NewEdge) => Effect.Effect<Edge, StorageUnavailable>
    readonly get: (
      tenantId: TenantId,
      edgeId: EdgeId
    ) => Effect.Effect<Edge, EdgeNotFound | StorageUnavailable>
    /** Oldest first. */
    readonly list: (
      tenantId: TenantId,
      query: EdgeQuery
    ) => Effect.Effect<Paged.Paged<Edge>, InvalidCursor | StorageUnavailable>
    readonly update: (
      tenantId: TenantId,
      edgeId: EdgeId,
      changes: EdgeChanges
    ) => Effect.Effect<Edge, EdgeNotFound | StorageUnavailable>
    /** Its tokens are no longer good from this moment on. */
    readonly remove: (
      tenantId: TenantId,
      edgeId: EdgeId
    ) => Effect.Effect<void, EdgeNotFound | StorageUnavailable>
    readonly count: (tenantId: TenantId) => Effect.Effect<number, StorageUnavailable>
  }
>()("@edge-relay/domain/edges/Edges") {
  static readonly layerMemory = Layer.effect(
    Edges,
    Effect.suspend(() => makeMemory)
  )
}

/** Labels as they are stored: sorted, each once. */
export const normalizeLabels = (labels: ReadonlyArray<string>): ReadonlyArray<string> =>
  Array.from(new Set(labels)).sort()

/**
 * What names are searched by: compatibility forms and case do not matter. Cut, since one character may become 18
 * (U+FDFA), and Postgres refuses index entries of more than 2.7 kB.
 */
export const searchKey = (text: string): string => text.normalize("NFKC").toLowerCase().slice(0, 400)

const isEdgeId = Schema.is(EdgeId)

/** A list of edges goes on after the last edge's id. */
export const cursorToId = (cursor: string): Effect.Effect<EdgeId, InvalidCursor> =>
  isEdgeId(cursor) ? Effect.succeed(cursor) : Effect.fail(new Paged.InvalidCursor({ cursor }))

const makeMemory = Effect.gen(function* () {
  const events = yield* EdgeEvents
  const random = yield* SecureRandom.SecureRandom
  const newId = Effect.provideService(TypeId.make("edge"), SecureRandom.SecureRandom, random)
  const edges = new Map<EdgeId, { readonly tenantId: TenantId; readonly edge: Edge }>()

  const find = (tenantId: TenantId, edgeId: EdgeId) =>
    Effect.suspend(() => {
      const found = edges.get(edgeId)
      return found?.tenantId === tenantId
        ? Effect.succeed(found.edge)
        : Effect.fail(new EdgeNotFound({ edgeId }))
    })

  return Edges.of({
    create: Effect.fn("Edges.create")(function* (tenantId, { id, name, labels = [] }) {
      const edge = new Edge({
        id: id ?? EdgeId.make(yield* newId),
        name,
        labels: normalizeLabels(labels),
        createdAt: yield* DateTime.now
      })
      edges.set(edge.id, { tenantId, edge })
      yield* events.append(tenantId, { type: "edge.updated", edgeId: edge.id })
      return edge
    }),

    get: find,

    list: Effect.fn("Edges.list")(function* (
      tenantId,
      { limit, cursor, label, q, ids, exceptIds, reach = null }
    ) {
      const after = cursor === undefined ? "" : yield* cursorToId(cursor)
      const key = q === undefined ? "" : searchKey(q)
      const only = ids === undefined ? undefined : new Set(ids)
      const except = new Set(exceptIds)
      const found = Array.from(edges.values())
        .filter((one) => one.tenantId === tenantId)
        .map(({ edge }) => edge)
        .filter(
          ({ id, name, labels }) =>
            EdgeReach.includes(reach, { id, labels }) &&
            id > after &&
            (label === undefined || labels.includes(label)) &&
            searchKey(name).includes(key) &&
            (only === undefined || only.has(id)) &&
            !except.has(id)
        )
        .sort((a, b) => (a.id < b.id ? -1 : 1))
      return Paged.of(found.slice(0, limit + 1), limit, ({ id }) => id)
    }),

    update: Effect.fn("Edges.update")(function* (tenantId, edgeId, { name, labels }) {
      const before = yield* find(tenantId, edgeId)
      const edge = new Edge({
        ...before,
        name: name ?? before.name,
        labels: labels === undefined ? before.labels : normalizeLabels(labels)
      })
      edges.set(edgeId, { tenantId, edge })
      yield* events.append(tenantId, { type: "edge.updated", edgeId })
      return edge
    }),

    remove: Effect.fn("Edges.remove")(function* (tenantId, edgeId) {
      yield* find(tenantId, edgeId)
      edges.delete(edgeId)
      yield* events.append(tenantId, { type: "edge.removed", edgeId })
    }),

    count: (tenantId) =>
      Effect.sync(() => Array.from(edges.values()).filter((one) => one.tenantId === tenantId).length)
  })
})
