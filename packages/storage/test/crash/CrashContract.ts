import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted, Schema } from "effect"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { Pairing } from "@edge-relay/domain/pairing/Pairing"
import { PairingCodeId } from "@edge-relay/domain/ids/PairingCodeId"
import { PairingCodes } from "@edge-relay/domain/pairing/PairingCodes"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { crypto, newUser } from "@edge-relay/testkit/contract/Fixtures"
import * as Child from "./Child.ts"
import { Database } from "../../src/database/Database.ts"
import * as Migrations from "../../src/database/Migrations.ts"
import * as SqlStorage from "../../src/SqlStorage.ts"

/** What a process that is killed in the middle leaves behind, on a fresh database of any kind. */

const open = (url: string) =>
  Pairing.layer.pipe(
    Layer.provideMerge(SqlStorage.layer),
    Layer.provideMerge(Database.layer({ url: Redacted.make(url) })),
    Layer.provideMerge(crypto),
    Layer.fresh
  )

/** Rows of each table that have to be whole or absent together. */
const halves = Effect.gen(function* () {
  const { sql } = yield* Database
  const [row] = yield* sql<Record<string, number | bigint>>`SELECT
    (SELECT count(*) FROM edges e WHERE NOT EXISTS (SELECT 1 FROM session_tokens t WHERE t.edge_id = e.id)) AS edges,
    (SELECT count(*) FROM session_tokens t
      WHERE NOT EXISTS (SELECT 1 FROM pairing_codes c WHERE c.used_by = t.id AND c.id = t.granted_by)) AS tokens,
    (SELECT count(*) FROM edge_labels l
      WHERE NOT EXISTS (SELECT 1 FROM edges e WHERE e.id = l.edge_id AND e.name LIKE 'renamed %')) AS labels,
    (SELECT count(*) FROM edges e WHERE e.name LIKE 'renamed %'
      AND 2 <> (SELECT count(*) FROM edge_labels l WHERE l.edge_id = e.id)) AS renames,
    (SELECT value FROM counters WHERE name = 'edge_events') - (SELECT count(*) FROM edge_events) AS events`
  return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, Number(value)]))
})

const none = { edges: 0, tokens: 0, labels: 0, renames: 0, events: 0 }

export const suite = (name: string, freshUrl: () => Promise<string>) =>
  describe(`A killed process on ${name}`, () => {
    it.live("has kept every exchange and rename that it acknowledged, and no half of one", () =>
      Effect.gen(function* () {
        const url = yield* Effect.promise(freshUrl)
        const exchanges: Array<Record<string, string>> = []
        const renames = new Map<string, string>()
        const { signal } = yield* Effect.promise(() =>
          Child.run("work", url, (said) => {
            if (said["token"] !== undefined) exchanges.push(said)
            if (said["renamed"] !== undefined) renames.set(said["edgeId"] ?? "", said["renamed"])
            return renames.size >= 400
          })
        )
        assert.strictEqual(signal, "SIGKILL")
        assert.isAtLeast(renames.size, 400)
        yield* Effect.gen(function* () {
          const edges = yield* Edges
          const tokens = yield* SessionTokens
          const codes = yield* PairingCodes
          for (const said of exchanges) {
            const token = yield* tokens.authenticate(Redacted.make(said["token"] ?? ""))
            assert.strictEqual(token.edgeId, said["edgeId"])
            const edge = yield* edges.get(token.tenantId, token.edgeId)
            const renamed = renames.get(edge.id)
            if (renamed === undefined)
              assert.include([said["name"], `renamed ${said["name"]?.slice(5)}`], edge.name)
            else assert.strictEqual(edge.name, renamed)
            assert.deepStrictEqual(
              yield* codes.usedBy(PairingCodeId.make(said["codeId"] ?? "")),
              Option.some(token.tokenId)
            )
          }
          assert.deepStrictEqual(yield* halves, none)
        }).pipe(Effect.provide(open(url)))
      })
    )

    it.live.each(["create", "issue", "mark"])(
      "leaves the code open and no token when it dies after: %s",
      (step) =>
        Effect.gen(function* () {
          const url = yield* Effect.promise(freshUrl)
          const said: Array<Record<string, string>> = []
          const { signal } = yield* Effect.promise(() =>
            Child.run(step, url, (line) => {
              said.push(line)
              return false
            })
          )
          assert.strictEqual(signal, "SIGKILL")
          const [{ tenantId, code } = {}, issued] = said
          yield* Effect.gen(function* () {
            const tenant = yield* Schema.decodeUnknownEffect(TenantId)(tenantId)
            assert.strictEqual(yield* (yield* Edges).count(tenant), 0)
            assert.deepStrictEqual(yield* halves, none)
            if (issued !== undefined) {
              const token = Redacted.make(issued["token"] ?? "")
              const exit = yield* Effect.exit((yield* SessionTokens).authenticate(token))
              assert.isTrue(Exit.isFailure(exit))
            }
            const paired = yield* (yield* Pairing).exchange({ code: Redacted.make(code ?? "") })
            assert.isTrue(Schema.is(EdgeId)(paired.edgeId))
          }).pipe(Effect.provide(open(url)))
        })
    )

    it.live("finds the schema made once when several processes start at once", () =>
      Effect.gen(function* () {
        const url = yield* Effect.promise(freshUrl)
        const exits = yield* Effect.promise(() => Promise.all([1, 2, 3].map(() => Child.run("migrate", url))))
        assert.deepStrictEqual(
          exits.map(({ code, errors }) => [code, errors]),
          [1, 2, 3].map(() => [0, ""])
        )
        const rows = yield* Database.use(
          ({ sql }) => sql<{ id: number }>`SELECT id FROM schema_migrations ORDER BY id`
        ).pipe(Effect.provide(open(url)))
        assert.deepStrictEqual(
          rows.map(({ id }) => id),
          Migrations.migrations.map(({ id }) => id)
        )
      })
    )

    it.live("gives one token for a code that two processes exchange fifty times at once", () =>
      Effect.gen(function* () {
        const url = yield* Effect.promise(freshUrl)
        yield* Effect.gen(function* () {
          const { tenantId, userId } = yield* newUser
          const { code } = yield* (yield* Pairing).createCode(tenantId, userId, {})
          const given: Array<string> = []
          const note = (said: Record<string, string>) => {
            if (said["token"] !== undefined) given.push(said["token"])
            return false
          }
          const exits = yield* Effect.promise(() =>
            Promise.all([1, 2].map(() => Child.run("exchange", url, note, Redacted.value(code))))
          )
          assert.deepStrictEqual(
            exits.map(({ code, errors }) => [code, errors]),
            [1, 2].map(() => [0, ""])
          )
          assert.strictEqual(given.length, 1)
          assert.strictEqual(yield* (yield* Edges).count(tenantId), 1)
          yield* (yield* SessionTokens).authenticate(Redacted.make(given[0] ?? ""))
        }).pipe(Effect.provide(open(url)))
      })
    )

    it.live("lets two processes write at once without refusing either", () =>
      Effect.gen(function* () {
        const url = yield* Effect.promise(freshUrl)
        const renamed = [0, 0]
        const exits = yield* Effect.promise(() =>
          Promise.all(
            [0, 1].map((child) => {
              return Child.run("work", url, (said) => {
                if (said["renamed"] === undefined) return false
                return (renamed[child] = (renamed[child] ?? 0) + 1) >= 150
              })
            })
          )
        )
        assert.deepStrictEqual(
          exits.map(({ signal, errors }) => [signal, errors]),
          [1, 2].map(() => ["SIGKILL", ""])
        )
        assert.isAtLeast(Math.min(...renamed), 150)
        assert.deepStrictEqual(yield* Effect.provide(halves, open(url)), none)
      })
    )
  })
