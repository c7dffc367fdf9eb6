import { PairingRequestId } from "../ids/PairingRequestId.ts"
import { Context, DateTime, Effect, Layer, Option, Schema } from "effect"
import type { TenantId } from "../ids/TenantId.ts"
import type { UserId } from "../ids/UserId.ts"
import type { TokenId } from "../ids/TokenId.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"

/**
 * Pairings that were begun at an edge (RFC 8628): pending until a signed-in person approves or denies them by
 * the user code, then taken once by whoever holds the device code. Both codes are kept as hashes.
 */

/** What asks to be paired. All but the address is what it says of itself. */
export class PairingRequest extends Schema.Class<PairingRequest>("@edge-relay/domain/PairingRequest")({
  id: PairingRequestId,
  hostname: Schema.String,
  name: Schema.NullOr(Schema.String),
  address: Schema.NullOr(Schema.String),
  createdAt: Schema.DateTimeUtc,
  expiresAt: Schema.DateTimeUtc
}) {}

export type Decision = "approved" | "denied"

/** How a request stands, as its device code sees it. */
export interface PolledRequest {
  readonly request: PairingRequest
  readonly decision: Decision | null
  /** Who approved it. */
  readonly tenantId: TenantId | null
  readonly usedBy: TokenId | null
  /** When it was polled before, and how many seconds it was to wait since. */
  readonly lastPolledAt: DateTime.Utc | null
  readonly intervalSeconds: number
}

export class PairingRequests extends Context.Service<
  PairingRequests,
  {
    /** False, and nothing stored, where there is such a user code already. */
    readonly insert: (
      hashes: { readonly deviceCode: string; readonly userCode: string },
      request: PairingRequest,
      intervalSeconds: number
    ) => Effect.Effect<boolean, StorageUnavailable>
    /** One that nobody has decided yet. It is nobody's until then, hence asked without a tenant. */
    readonly findPending: (
      userCodeHash: string,
      now: DateTime.Utc
    ) => Effect.Effect<Option.Option<PairingRequest>, StorageUnavailable>
    /** Decides a pending one, which makes it the tenant's; false where it is not pending. */
    readonly decide: (
      tenantId: TenantId,
      userId: UserId,
      id: PairingRequestId,
      decision: Decision,
      now: DateTime.Utc
    ) => Effect.Effect<boolean, StorageUnavailable>
    readonly findByDevice: (
      deviceCodeHash: string
    ) => Effect.Effect<Option.Option<PolledRequest>, StorageUnavailable>
    /** Remembers a poll, and how long to wait for the next. */
    readonly polled: (
      id: PairingRequestId,
      at: DateTime.Utc,
      intervalSeconds: number
    ) => Effect.Effect<void, StorageUnavailable>
    /** Marks one that the tenant approved used by a token; of many at once, one is answered true. */
    readonly markUsed: (
      tenantId: TenantId,
      id: PairingRequestId,
      tokenId: TokenId,
      now: DateTime.Utc
    ) => Effect.Effect<boolean, StorageUnavailable>
    readonly usedBy: (id: PairingRequestId) => Effect.Effect<Option.Option<TokenId>, StorageUnavailable>
    /** Drops what expired unused before then. A used request stays as long as its token. */
    readonly prune: (before: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
  }
>()("@edge-relay/domain/pairing/PairingRequests") {
  static readonly layerMemory = Layer.effect(
    PairingRequests,
    Effect.suspend(() => makeMemory)
  )
}

interface Stored extends PolledRequest {
  readonly deviceCode: string
  readonly userCode: string
}

const makeMemory = Effect.sync(() => {
  const requests = new Map<PairingRequestId, Stored>()
  const find = (test: (one: Stored) => boolean) =>
    Option.fromUndefinedOr(Array.from(requests.values()).find(test))
  const isLive = ({ request, usedBy }: Stored, now: DateTime.Utc) =>
    usedBy === null && DateTime.isLessThan(now, request.expiresAt)
  const change = (id: PairingRequestId, test: (one: Stored) => boolean, changes: Partial<Stored>) =>
    Effect.sync(() => {
      const found = requests.get(id)
      if (found === undefined || !test(found)) return false
      requests.set(id, { ...found, ...changes })
      return true
    })

  return PairingRequests.of({
    insert: (hashes, request, intervalSeconds) =>
      Effect.sync(() => {
        if (Option.isSome(find(({ userCode }) => userCode === hashes.userCode))) return false
        requests.set(request.id, {
          ...hashes,
          request,
          decision: null,
          tenantId: null,
          usedBy: null,
          lastPolledAt: null,
          intervalSeconds
        })
        return true
      }),
    findPending: (userCode, now) =>
      Effect.sync(() =>
        Option.map(
          find((one) => one.userCode === userCode && one.decision === null && isLive(one, now)),
          ({ request }) => request
        )
      ),
    decide: (tenantId, _userId, id, decision, now) =>
      change(id, (one) => one.decision === null && isLive(one, now), { tenantId, decision }),
    findByDevice: (deviceCode) => Effect.sync(() => find((one) => one.deviceCode === deviceCode)),
    polled: (id, lastPolledAt, intervalSeconds) =>
      Effect.asVoid(change(id, () => true, { lastPolledAt, intervalSeconds })),
    markUsed: (tenantId, id, usedBy, now) =>
      change(id, (one) => one.tenantId === tenantId && one.decision === "approved" && isLive(one, now), {
        usedBy
      }),
    usedBy: (id) => Effect.sync(() => Option.fromNullishOr(requests.get(id)?.usedBy)),
    prune: (before) =>
      Effect.sync(() => {
        for (const [id, { request, usedBy }] of requests) {
          if (usedBy === null && DateTime.isLessThan(request.expiresAt, before)) requests.delete(id)
        }
      })
  })
})
