import { assert, describe, layer } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted } from "effect"
import { Statement } from "effect/sql"
import { AccessTokens } from "@edge-relay/domain/access-tokens/AccessTokens"
import { AccessTokenId } from "@edge-relay/domain/ids/AccessTokenId"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { PairingCodes } from "@edge-relay/domain/pairing/PairingCodes"
import { TerminalRequests } from "@edge-relay/domain/sign-in/TerminalRequests"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import {
  crypto,
  garbage,
  missingEdge,
  newUser,
  type Repositories
} from "@edge-relay/testkit/contract/Fixtures"
import { Database } from "../src/database/Database.ts"
import * as SqlStorage from "../src/SqlStorage.ts"

/**
 * What the databases say that they would do for each statement that reads, asked of the very statements that the
 * repositories send, in a schema that believes itself to hold 1,000,000 edges in 100 tenants.
 */

const sqlite = SqlStorage.layer.pipe(
  Layer.provideMerge(Database.layer({ url: Redacted.make("sqlite::memory:") })),
  Layer.provideMerge(crypto)
)

/** The plan of each statement that an effect sends. */
const plansOf = Effect.fnUntraced(function* <A, E>(effect: Effect.Effect<A, E, Repositories>) {
  const sent: Array<readonly [sql: string, params: ReadonlyArray<unknown>]> = []
  yield* effect.pipe(
    Effect.provideService(Statement.CurrentTransformer, (statement) => {
      sent.push(statement.compile())
      return Effect.succeed(statement)
    })
  )
  const { sql } = yield* Database
  return yield* Effect.forEach(sent, ([text, params]) =>
    Effect.map(sql.unsafe<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, params), (rows) =>
      rows.map(({ detail }) => detail)
    )
  )
})

/** As `ANALYZE` would have counted them, had they been there. */
const pretendMillions = Effect.gen(function* () {
  const { sql } = yield* Database
  yield* sql`ANALYZE`
  yield* sql`DELETE FROM sqlite_stat1`
  yield* sql`INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('edges', 'edges_of_tenant', '1000000 10000 1 1'),
    ('edges', 'sqlite_autoindex_edges_1', '1000000 1'),
    ('edge_labels', 'sqlite_autoindex_edge_labels_1', '2000000 20000 2000 1'),
    ('edge_labels', 'edge_labels_of_edge', '2000000 2'),
    ('session_tokens', 'sqlite_autoindex_session_tokens_1', '1000000 1'),
    ('session_tokens', 'sqlite_autoindex_session_tokens_2', '1000000 1'),
    ('audit_log', 'audit_log_of_tenant', '5000000 50000 1'),
    ('audit_log', 'audit_log_of_action', '5000000 50000 2000 1'),
    ('audit_log', 'audit_log_of_edge', '5000000 50000 5 1')`
  yield* sql`ANALYZE sqlite_schema`
})

const reads = Effect.gen(function* () {
  const edges = yield* Edges
  const codes = yield* PairingCodes
  const audit = yield* AuditLog
  const events = yield* EdgeEvents
  const tokens = yield* SessionTokens
  const accessTokens = yield* AccessTokens
  const terminals = yield* TerminalRequests
  const { tenantId, userId } = yield* newUser
  const edgeId = yield* missingEdge
  const limit = 50
  const now = yield* DateTime.now
  const list: Record<string, Effect.Effect<unknown, unknown>> = {
    "a page of edges": edges.list(tenantId, { limit }),
    "the next page of edges": edges.list(tenantId, { limit, cursor: edgeId }),
    "edges by label": edges.list(tenantId, { limit, label: "gpu" }),
    "the next edges by label": edges.list(tenantId, { limit, label: "gpu", cursor: edgeId }),
    "edges by label and name": edges.list(tenantId, { limit, label: "gpu", q: "kitchen" }),
    "edges by name": edges.list(tenantId, { limit, q: "kitchen" }),
    "edges by ids": edges.list(tenantId, { limit, ids: [edgeId] }),
    "edges but ids": edges.list(tenantId, { limit, exceptIds: [edgeId] }),
    "one edge": Effect.ignore(edges.get(tenantId, edgeId)),
    "the number of edges": edges.count(tenantId),
    "a token": Effect.ignore(tokens.authenticate(garbage)),
    "an access token": accessTokens.find("hash"),
    "a refresh": Effect.ignore(accessTokens.refresh(garbage)),
    terminals: accessTokens.terminals(tenantId, userId),
    "a terminal's request": terminals.findPending("hash", now),
    "a terminal's poll": terminals.findByDevice("hash"),
    "live access tokens": accessTokens.live([AccessTokenId.make("pat_01h00000000000000000000000")]),
    "a person's access tokens": accessTokens.list(tenantId, userId, { limit }),
    "edges within reach": edges.list(tenantId, { limit, reach: { ids: [edgeId], labels: ["gpu"] } }),
    "replaced tokens": tokens.revokeReplaced,
    "open codes": codes.list(tenantId, now, { limit }),
    "a code": codes.findOpen("hash", now),
    audit: audit.list(tenantId, { limit }),
    "audit by action": audit.list(tenantId, { limit, action: "edge.removed" }),
    "audit by edge": audit.list(tenantId, { limit, edgeId }),
    "a tenant's events": events.since(tenantId, 5, limit),
    "all events": events.allSince(5, limit)
  }
  return list
})

layer(sqlite)((it) =>
  describe("Query plans on SQLite", () => {
    for (const [when, prepare] of [
      ["before statistics", Effect.void],
      ["with statistics of millions", pretendMillions]
    ] as const) {
      it.effect(`reads nothing without an index, and sorts nothing, ${when}`, () =>
        Effect.gen(function* () {
          yield* prepare
          for (const [what, read] of Object.entries(yield* reads)) {
            for (const plan of yield* plansOf(read)) {
              const unbounded = plan.filter(
                (step) => /^SCAN (?!json_each)/.test(step) && !step.includes("CONSTANT ROW")
              )
              assert.deepStrictEqual(unbounded, [], `${what}: ${plan.join("; ")}`)
              // The few tokens that are due are made unique by a sort.
              const sorts = plan.filter((step) => step.includes("TEMP B-TREE") && what !== "replaced tokens")
              assert.deepStrictEqual(sorts, [], `${what}: ${plan.join("; ")}`)
            }
          }
        })
      )

      it.effect(`walks a tenant's edges by the index of the tenant, ${when}`, () =>
        Effect.gen(function* () {
          yield* prepare
          const all = yield* reads
          const [page] = yield* plansOf(all["the next page of edges"] ?? Effect.void)
          assert.deepStrictEqual(page, ["SEARCH e USING INDEX edges_of_tenant (tenant_id=? AND id>?)"])
          const [byLabel] = yield* plansOf(all["the next edges by label"] ?? Effect.void)
          assert.match(
            byLabel?.[0] ?? "",
            /^SEARCH l USING COVERING INDEX .* \(tenant_id=\? AND label=\? AND edge_id>\?\)$/
          )
        })
      )
    }
  })
)
