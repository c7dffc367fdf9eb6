import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { type It, missingEdge, newUser } from "./Fixtures.ts"

export const suite = (name: string, it: It) =>
  describe(`Edges in ${name}`, () => {
    it.effect("gives back what was created, its labels sorted and each once", () =>
      Effect.gen(function* () {
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        const edge = yield* edges.create(tenantId, { name: "Küche ✓", labels: ["b", "a", "b"] })
        assert.deepStrictEqual(edge.labels, ["a", "b"])
        assert.deepStrictEqual(yield* edges.get(tenantId, edge.id), edge)
        assert.strictEqual(yield* edges.count(tenantId), 1)
      })
    )

    it.effect("lists oldest first, page by page, each edge once", () =>
      Effect.gen(function* () {
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        const created = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7], (n) =>
          edges.create(tenantId, { name: `${n}` })
        )
        const listed: Array<string> = []
        let cursor: string | undefined
        for (let page = 0; page < 3; page++) {
          const { items, nextCursor } = yield* edges.list(tenantId, { limit: 3, cursor })
          listed.push(...items.map(({ id }) => id))
          cursor = nextCursor ?? undefined
        }
        assert.deepStrictEqual(
          listed,
          created.map(({ id }) => id)
        )
        assert.isUndefined(cursor)
        const exact = yield* edges.list(tenantId, { limit: 7 })
        assert.isNull(exact.nextCursor)
      })
    )

    it.effect("refuses a cursor that no list gave out", () =>
      Effect.gen(function* () {
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        for (const cursor of ["", "x", "edge_", "' OR 1=1 --", "tok_01h455vb4pex5vsknk084sn02q"]) {
          const error = yield* Effect.flip(edges.list(tenantId, { limit: 5, cursor }))
          assert.strictEqual(error._tag, "InvalidCursor")
        }
      })
    )

    it.effect("filters by label, by part of the name in any case, by ids and by all but ids", () =>
      Effect.gen(function* () {
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        const a = yield* edges.create(tenantId, { name: "ÄPFEL 100%", labels: ["site=a", "gpu"] })
        const b = yield* edges.create(tenantId, { name: "birnen_100!", labels: ["gpu"] })
        const c = yield* edges.create(tenantId, { name: "Birnenx1000" })
        const ids = (query: object) =>
          Effect.map(edges.list(tenantId, { limit: 10, ...query }), ({ items }) => items.map(({ id }) => id))
        assert.deepStrictEqual(yield* ids({ label: "gpu" }), [a.id, b.id])
        assert.deepStrictEqual(yield* ids({ label: "gpu", limit: 1 }), [a.id])
        assert.deepStrictEqual(yield* ids({ label: "gpu", limit: 1, cursor: a.id }), [b.id])
        assert.deepStrictEqual(yield* ids({ label: "gp" }), [])
        assert.deepStrictEqual(yield* ids({ q: "äpfel" }), [a.id])
        assert.deepStrictEqual(yield* ids({ q: "BIRNEN" }), [b.id, c.id])
        assert.deepStrictEqual(yield* ids({ q: "0%" }), [a.id])
        assert.deepStrictEqual(yield* ids({ q: "n_1" }), [b.id])
        assert.deepStrictEqual(yield* ids({ q: "0!" }), [b.id])
        assert.deepStrictEqual(yield* ids({ q: "' OR '1'='1" }), [])
        assert.deepStrictEqual(yield* ids({ ids: [c.id, a.id, yield* missingEdge] }), [a.id, c.id])
        assert.deepStrictEqual(yield* ids({ ids: [] }), [])
        assert.deepStrictEqual(yield* ids({ exceptIds: [b.id] }), [a.id, c.id])
        assert.deepStrictEqual(yield* ids({ exceptIds: [] }), [a.id, b.id, c.id])
        assert.deepStrictEqual(yield* ids({ label: "gpu", q: "birnen", exceptIds: [a.id] }), [b.id])
      })
    )

    it.effect("takes names of a hundred characters of any kind, and finds them", () =>
      Effect.gen(function* () {
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        for (const character of ["\u{FDFA}", "\u{1F680}", "'", '"', "\\", "\u{7F}", "İ"]) {
          const edge = yield* edges.create(tenantId, { name: character.repeat(100) })
          assert.deepStrictEqual(yield* edges.get(tenantId, edge.id), edge)
          const { items } = yield* edges.list(tenantId, { limit: 5, q: character.repeat(3) })
          assert.deepStrictEqual(items, [edge])
        }
      })
    )

    it.effect("changes the name and the labels, each alone", () =>
      Effect.gen(function* () {
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        const { id } = yield* edges.create(tenantId, { name: "old", labels: ["x"] })
        const renamed = yield* edges.update(tenantId, id, { name: "new" })
        assert.deepStrictEqual([renamed.name, renamed.labels], ["new", ["x"]])
        const relabelled = yield* edges.update(tenantId, id, { labels: ["z", "y"] })
        assert.deepStrictEqual([relabelled.name, relabelled.labels], ["new", ["y", "z"]])
        assert.deepStrictEqual(yield* edges.update(tenantId, id, {}), relabelled)
        assert.deepStrictEqual(yield* edges.get(tenantId, id), relabelled)
        assert.deepStrictEqual((yield* edges.list(tenantId, { limit: 5, label: "x" })).items, [])
        assert.deepStrictEqual((yield* edges.list(tenantId, { limit: 5, label: "y" })).items, [relabelled])
        assert.deepStrictEqual((yield* edges.list(tenantId, { limit: 5, q: "NEW" })).items, [relabelled])
        assert.deepStrictEqual((yield* edges.update(tenantId, id, { labels: [] })).labels, [])
      })
    )

    it.effect("does not find another tenant's edge, whatever is asked", () =>
      Effect.gen(function* () {
        const edges = yield* Edges
        const owner = yield* newUser
        const other = yield* newUser
        const edge = yield* edges.create(owner.tenantId, { name: "mine", labels: ["x"] })
        const missing = yield* missingEdge
        for (const id of [edge.id, missing]) {
          const errors = [
            yield* Effect.flip(edges.get(other.tenantId, id)),
            yield* Effect.flip(edges.update(other.tenantId, id, { name: "theirs", labels: [] })),
            yield* Effect.flip(edges.remove(other.tenantId, id))
          ]
          assert.deepStrictEqual(
            errors.map(({ _tag }) => _tag),
            Array(3).fill("EdgeNotFound")
          )
        }
        for (const query of [{}, { label: "x" }, { q: "mine" }, { ids: [edge.id] }]) {
          assert.deepStrictEqual((yield* edges.list(other.tenantId, { limit: 5, ...query })).items, [])
        }
        assert.strictEqual(yield* edges.count(other.tenantId), 0)
        assert.deepStrictEqual(yield* edges.get(owner.tenantId, edge.id), edge)
      })
    )

    it.effect("has forgotten a removed edge", () =>
      Effect.gen(function* () {
        const edges = yield* Edges
        const { tenantId } = yield* newUser
        const { id } = yield* edges.create(tenantId, { name: "gone", labels: ["x"] })
        yield* edges.remove(tenantId, id)
        assert.strictEqual((yield* Effect.flip(edges.get(tenantId, id)))._tag, "EdgeNotFound")
        assert.strictEqual((yield* Effect.flip(edges.remove(tenantId, id)))._tag, "EdgeNotFound")
        assert.deepStrictEqual((yield* edges.list(tenantId, { limit: 5, label: "x" })).items, [])
        assert.strictEqual(yield* edges.count(tenantId), 0)
      })
    )

    it.effect("tells the events of each change, and of none that failed", () =>
      Effect.gen(function* () {
        const edges = yield* Edges
        const events = yield* EdgeEvents
        const { tenantId } = yield* newUser
        const before = yield* events.latest
        const { id } = yield* edges.create(tenantId, { name: "a" })
        yield* edges.update(tenantId, id, { name: "b" })
        yield* Effect.flip(edges.update(tenantId, yield* missingEdge, { name: "b" }))
        yield* Effect.flip(edges.remove((yield* newUser).tenantId, id))
        yield* edges.remove(tenantId, id)
        const told = yield* events.since(tenantId, before, 10)
        assert.deepStrictEqual(
          told.events.map((event) => [event.type, event.edgeId]),
          [
            ["edge.updated", id],
            ["edge.updated", id],
            ["edge.removed", id]
          ]
        )
      })
    )
  })
