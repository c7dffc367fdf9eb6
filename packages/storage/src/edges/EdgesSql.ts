import { Array as Arr, DateTime, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import {
  cursorToId,
  Edge,
  EdgeNotFound,
  type EdgeQuery,
  Edges,
  normalizeLabels,
  searchKey
} from "@edge-relay/domain/edges/Edges"
import * as Paged from "@edge-relay/domain/Paged"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Database } from "../database/Database.ts"

/** The edges in SQL. Labels are kept twice: as JSON with the edge, for reading, and one a row, for the index. */

interface Row {
  readonly id: EdgeId
  readonly name: string
  readonly labels: string
  readonly created_at: number | bigint
}

// What was checked when it was written is not checked again for each row that is read.
const toEdge = (row: Row): Edge =>
  new Edge(
    {
      id: row.id,
      name: row.name,
      labels: JSON.parse(row.labels),
      createdAt: DateTime.makeUnsafe(Number(row.created_at))
    },
    { disableChecks: true }
  )

/** Escaped by `!`, which both databases take alike. */
const contains = (text: string): string => `%${searchKey(text).replaceAll(/[!%_]/g, "!$&")}%`

export const layer = Layer.effect(
  Edges,
  Effect.gen(function* () {
    const { sql, run, transaction } = yield* Database
    const events = yield* EdgeEvents
    const random = yield* SecureRandom.SecureRandom
    const newId = Effect.provideService(TypeId.make("edge"), SecureRandom.SecureRandom, random)
    const columns = sql.literal("id, name, labels, created_at")

    const insertLabels = (tenantId: TenantId, edgeId: EdgeId, labels: ReadonlyArray<string>) =>
      Arr.isReadonlyArrayNonEmpty(labels)
        ? sql`INSERT INTO edge_labels ${sql.insert(
            Arr.map(labels, (label) => ({ tenant_id: tenantId, label, edge_id: edgeId }))
          )}`
        : Effect.void

    const only = Effect.fnUntraced(function* (edgeId: EdgeId, rows: ReadonlyArray<Row>) {
      const [row] = rows
      return row === undefined ? yield* new EdgeNotFound({ edgeId }) : toEdge(row)
    })

    /** Texts as one parameter, however many: a statement's text does not depend on them. */
    const listed = (texts: ReadonlyArray<string>) =>
      sql.onDialectOrElse({
        pg: () => sql`(SELECT jsonb_array_elements_text(${JSON.stringify(texts)}::text::jsonb))`,
        orElse: () => sql`(SELECT value FROM json_each(${JSON.stringify(texts)}))`
      })
    const idIn = (ids: ReadonlyArray<EdgeId>) => sql`e.id IN ${listed(ids)}`

    /**
     * Walks the tenant's index, or that of the label: a page costs what is on it, however many there are. CROSS JOIN
     * is how SQLite is told to begin with the label; to Postgres it is a join as any other.
     */
    const select = (
      tenantId: TenantId,
      { limit, label, q, ids, exceptIds, reach = null }: EdgeQuery,
      after: EdgeId | undefined
    ) => {
      const id = sql.literal(label === undefined ? "e.id" : "l.edge_id")
      return sql<Row>`SELECT e.id, e.name, e.labels, e.created_at
        FROM ${sql.literal(label === undefined ? "edges e" : "edge_labels l CROSS JOIN edges e")}
        WHERE ${sql.and([
          sql`e.tenant_id = ${tenantId}`,
          ...(label === undefined
            ? []
            : [sql`l.tenant_id = ${tenantId} AND l.label = ${label} AND e.id = l.edge_id`]),
          ...(after === undefined ? [] : [sql`${id} > ${after}`]),
          ...(q === undefined ? [] : [sql`e.search_key LIKE ${contains(q)} ESCAPE '!'`]),
          ...(ids === undefined ? [] : [idIn(ids)]),
          ...(exceptIds === undefined || exceptIds.length === 0 ? [] : [sql`NOT (${idIn(exceptIds)})`]),
          ...(reach === null
            ? []
            : [
                sql`(${idIn(reach.ids)} OR EXISTS (SELECT 1 FROM edge_labels r
                  WHERE r.tenant_id = e.tenant_id AND r.edge_id = e.id AND r.label IN ${listed(reach.labels)}))`
              ])
        ])}
        ORDER BY ${id} LIMIT ${limit + 1}`
    }

    return Edges.of({
      create: Effect.fn("Edges.create")(function* (tenantId, { id, name, labels = [] }) {
        const edgeId = id ?? EdgeId.make(yield* newId)
        const createdAt = yield* DateTime.now
        const edge = new Edge({ id: edgeId, name, labels: normalizeLabels(labels), createdAt })
        yield* transaction(
          "Edges.create",
          Effect.gen(function* () {
            yield* sql`INSERT INTO edges (id, tenant_id, name, search_key, labels, token_generation, created_at)
              VALUES (${edgeId}, ${tenantId}, ${name}, ${searchKey(name)}, ${JSON.stringify(edge.labels)}, 0,
                ${DateTime.toEpochMillis(createdAt)})`
            yield* insertLabels(tenantId, edgeId, edge.labels)
            yield* events.append(tenantId, { type: "edge.updated", edgeId })
          })
        )
        return edge
      }),

      get: Effect.fn("Edges.get")(function* (tenantId, edgeId) {
        const rows = yield* run(
          "Edges.get",
          sql<Row>`SELECT ${columns} FROM edges WHERE tenant_id = ${tenantId} AND id = ${edgeId}`
        )
        return yield* only(edgeId, rows)
      }),

      list: Effect.fn("Edges.list")(function* (tenantId, query) {
        const after = query.cursor === undefined ? undefined : yield* cursorToId(query.cursor)
        if (query.ids?.length === 0) return { items: [], nextCursor: null }
        const rows = yield* run("Edges.list", select(tenantId, query, after))
        return Paged.of(rows.map(toEdge), query.limit, ({ id }) => id)
      }),

      update: Effect.fn("Edges.update")(function* (tenantId, edgeId, { name, labels }) {
        const sets = [
          ...(name === undefined ? [] : [sql`name = ${name}, search_key = ${searchKey(name)}`]),
          ...(labels === undefined ? [] : [sql`labels = ${JSON.stringify(normalizeLabels(labels))}`])
        ]
        return yield* transaction(
          "Edges.update",
          Effect.gen(function* () {
            // Where nothing is to change, it is still asked for, and an event still told.
            const rows =
              yield* sql<Row>`UPDATE edges SET ${sql.csv(sets.length === 0 ? [sql`name = name`] : sets)}
              WHERE tenant_id = ${tenantId} AND id = ${edgeId} RETURNING ${columns}`
            const edge = yield* only(edgeId, rows)
            if (labels !== undefined) {
              yield* sql`DELETE FROM edge_labels WHERE tenant_id = ${tenantId} AND edge_id = ${edgeId}`
              yield* insertLabels(tenantId, edgeId, edge.labels)
            }
            yield* events.append(tenantId, { type: "edge.updated", edgeId })
            return edge
          })
        )
      }),

      remove: Effect.fn("Edges.remove")(function* (tenantId, edgeId) {
        yield* transaction(
          "Edges.remove",
          Effect.gen(function* () {
            // Its labels and tokens, and with them what granted them, go by ON DELETE CASCADE.
            const rows = yield* sql<Row>`DELETE FROM edges WHERE tenant_id = ${tenantId} AND id = ${edgeId}
              RETURNING ${columns}`
            yield* only(edgeId, rows)
            yield* events.append(tenantId, { type: "edge.removed", edgeId })
          })
        )
      }),

      count: Effect.fn("Edges.count")(function* (tenantId) {
        const [row] = yield* run(
          "Edges.count",
          sql<{ total: number | bigint }>`SELECT count(*) AS total FROM edges WHERE tenant_id = ${tenantId}`
        )
        return Number(row?.total ?? 0)
      })
    })
  })
)
