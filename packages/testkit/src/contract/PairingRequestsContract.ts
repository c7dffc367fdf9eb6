import { assert, describe } from "@effect/vitest"
import { DateTime, Effect, Option } from "effect"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { PairingRequestId } from "@edge-relay/domain/ids/PairingRequestId"
import { PairingRequest, PairingRequests } from "@edge-relay/domain/pairing/PairingRequests"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { type It, newUser } from "./Fixtures.ts"

const insert = Effect.gen(function* () {
  const createdAt = yield* DateTime.now
  const id = PairingRequestId.make(yield* TypeId.make("preq"))
  const expiresAt = DateTime.add(createdAt, { minutes: 10 })
  const request = new PairingRequest({
    id,
    hostname: "jetson",
    name: null,
    address: "192.0.2.7",
    createdAt,
    expiresAt
  })
  const hashes = { deviceCode: `device of ${id}`, userCode: `user of ${id}` }
  assert.isTrue(yield* (yield* PairingRequests).insert(hashes, request, 5))
  return { request, hashes, now: createdAt }
})

const tokenFor = Effect.fnUntraced(function* (tenantId: TenantId, id: PairingRequestId) {
  const edge = yield* (yield* Edges).create(tenantId, { name: "edge" })
  return (yield* (yield* SessionTokens).issue(tenantId, edge.id, id)).tokenId
})

export const suite = (name: string, it: It) =>
  describe(`PairingRequests in ${name}`, () => {
    it.effect("shows a pending request to whoever has the user code, until it expires", () =>
      Effect.gen(function* () {
        const requests = yield* PairingRequests
        const { request, hashes, now } = yield* insert
        assert.deepStrictEqual(yield* requests.findPending(hashes.userCode, now), Option.some(request))
        assert.isTrue(Option.isNone(yield* requests.findPending(hashes.deviceCode, now)))
        assert.isTrue(Option.isNone(yield* requests.findPending(hashes.userCode, request.expiresAt)))
        const twin = new PairingRequest({ ...request, id: PairingRequestId.make(yield* TypeId.make("preq")) })
        assert.isFalse(yield* requests.insert({ ...hashes, deviceCode: "another" }, twin, 5))
      })
    )

    it.effect("is decided once, of many that try at once", () =>
      Effect.gen(function* () {
        const requests = yield* PairingRequests
        const { tenantId, userId } = yield* newUser
        const { request, hashes, now } = yield* insert
        const decided = yield* Effect.forEach(
          Array(10).keys(),
          (n) => requests.decide(tenantId, userId, request.id, n % 2 === 0 ? "approved" : "denied", now),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(decided.filter((won) => won).length, 1)
        assert.isTrue(Option.isNone(yield* requests.findPending(hashes.userCode, now)))
        const late = yield* insert
        assert.isFalse(
          yield* requests.decide(tenantId, userId, late.request.id, "approved", late.request.expiresAt)
        )
      })
    )

    it.effect("tells its device how it stands, and remembers each poll", () =>
      Effect.gen(function* () {
        const requests = yield* PairingRequests
        const { tenantId, userId } = yield* newUser
        const { request, hashes, now } = yield* insert
        const fresh = {
          request,
          decision: null,
          tenantId: null,
          usedBy: null,
          lastPolledAt: null,
          intervalSeconds: 5
        }
        const found = Option.getOrThrow(yield* requests.findByDevice(hashes.deviceCode))
        assert.deepStrictEqual({ ...fresh, ...found }, found)
        assert.deepInclude(found, fresh)
        yield* requests.polled(request.id, now, 10)
        yield* requests.decide(tenantId, userId, request.id, "denied", now)
        const later = Option.getOrThrow(yield* requests.findByDevice(hashes.deviceCode))
        assert.deepInclude(later, { decision: "denied", tenantId, lastPolledAt: now, intervalSeconds: 10 })
        assert.isTrue(Option.isNone(yield* requests.findByDevice(hashes.userCode)))
      })
    )

    it.effect("is used by one token, once it is approved, for the tenant that approved it", () =>
      Effect.gen(function* () {
        const requests = yield* PairingRequests
        const { tenantId, userId } = yield* newUser
        const { request, now } = yield* insert
        const tokens = yield* Effect.forEach(Array(10).keys(), () => tokenFor(tenantId, request.id))
        const [tokenId] = tokens
        assert(tokenId !== undefined)
        assert.isFalse(yield* requests.markUsed(tenantId, request.id, tokenId, now))
        yield* requests.decide(tenantId, userId, request.id, "approved", now)
        assert.isFalse(yield* requests.markUsed((yield* newUser).tenantId, request.id, tokenId, now))
        assert.isFalse(yield* requests.markUsed(tenantId, request.id, tokenId, request.expiresAt))
        const marked = yield* Effect.forEach(
          tokens,
          (id) => requests.markUsed(tenantId, request.id, id, now),
          {
            concurrency: "unbounded"
          }
        )
        assert.strictEqual(marked.filter((won) => won).length, 1)
        assert.deepStrictEqual(
          yield* requests.usedBy(request.id),
          Option.fromUndefinedOr(tokens[marked.indexOf(true)])
        )
      })
    )

    it.effect("drops what expired unused, and keeps what was used", () =>
      Effect.gen(function* () {
        const requests = yield* PairingRequests
        const { tenantId, userId } = yield* newUser
        const unused = yield* insert
        const used = yield* insert
        yield* requests.decide(tenantId, userId, used.request.id, "approved", used.now)
        const tokenId = yield* tokenFor(tenantId, used.request.id)
        yield* requests.markUsed(tenantId, used.request.id, tokenId, used.now)
        yield* requests.prune(DateTime.add(used.request.expiresAt, { milliseconds: 1 }))
        assert.isTrue(Option.isNone(yield* requests.findByDevice(unused.hashes.deviceCode)))
        assert.deepStrictEqual(yield* requests.usedBy(used.request.id), Option.some(tokenId))
      })
    )
  })
