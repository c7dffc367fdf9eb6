import { Array as Arr, Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { searchKey } from "@edge-relay/domain/edges/Edges"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { Database } from "@edge-relay/storage/database/Database"

/**
 * Fills a database with edges of many tenants, past the repositories: a million rows by single transactions would
 * take an hour. Ids are spread over the tenants as they would be had the edges come one after the other.
 */

/** Rows of one INSERT: SQLite binds 32,766 parameters at most, Postgres 65,535. */
const batch = 4000

export const seedEdges = Effect.fn("seedEdges")(function* (options: {
  /** All edges of the database. */
  readonly edges: number
  /** Those of the tenant that is answered. */
  readonly ofTenant: number
  /** The tenant that is measured; made anew where it is left out. */
  readonly tenantId?: TenantId
}) {
  const { sql, transaction } = yield* Database
  const random = yield* SecureRandom.SecureRandom
  const newId = (prefix: string) =>
    Effect.provideService(TypeId.make(prefix), SecureRandom.SecureRandom, random)
  const newTenant = Effect.map(newId("tenant"), (id) => TenantId.make(id))

  const measured = options.tenantId ?? (yield* newTenant)
  const others = yield* Effect.forEach(Array(99).keys(), () => newTenant)
  /** Every so many-th edge is the measured tenant's. */
  const stride = Math.max(1, Math.floor(options.edges / options.ofTenant))

  for (let from = 0; from < options.edges; from += batch) {
    const rows = yield* Effect.forEach(
      Arr.range(from, Math.min(from + batch, options.edges) - 1),
      Effect.fnUntraced(function* (n) {
        const mine = n % stride === 0 && n / stride < options.ofTenant
        const tenantId = mine ? measured : (others[n % others.length] ?? measured)
        const labels = n % 10 === 0 ? ["gpu", `site=${n % 100}`] : []
        const name = `edge ${n}`
        return {
          id: EdgeId.make(yield* newId("edge")),
          tenant_id: tenantId,
          name,
          search_key: searchKey(name),
          labels: JSON.stringify(labels),
          token_generation: 0,
          created_at: n
        }
      })
    )
    const labels = rows.flatMap(({ id, tenant_id, labels }) =>
      (JSON.parse(labels) as ReadonlyArray<string>) // as: written a few lines above
        .map((label) => ({ tenant_id, label, edge_id: id }))
    )
    yield* transaction(
      "seedEdges",
      Effect.gen(function* () {
        if (Arr.isArrayNonEmpty(rows)) yield* sql`INSERT INTO edges ${sql.insert(rows)}`
        if (Arr.isArrayNonEmpty(labels)) yield* sql`INSERT INTO edge_labels ${sql.insert(labels)}`
      })
    )
  }
  return measured
})
