import { Context, DateTime, Effect, Layer, Option, Schema } from "effect"
import { TenantId } from "../ids/TenantId.ts"
import { TerminalRequestId } from "../ids/TerminalRequestId.ts"
import { Role } from "./Role.ts"
import { UserId } from "../ids/UserId.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"

/**
 * Sign-ins that were begun at a terminal (RFC 8628): pending until somebody who is signed in approves or denies them by
 * the user code, then taken once by whoever holds the device code. Both codes are kept as hashes.
 */

/** What asks. All but the address is what it says of itself. */
export class TerminalRequest extends Schema.Class<TerminalRequest>("@edge-relay/domain/TerminalRequest")({
  id: TerminalRequestId,
  hostname: Schema.String,
  address: Schema.NullOr(Schema.String),
  createdAt: Schema.DateTimeUtc,
  expiresAt: Schema.DateTimeUtc
}) {}

/** Who approved it, and is signed in by it. */
export const Approver = Schema.Struct({
  tenantId: TenantId,
  userId: UserId,
  issuer: Schema.String,
  subject: Schema.String,
  role: Role
})
export type Approver = typeof Approver.Type

/** How a request stands, as its device code sees it. */
export interface PolledTerminal {
  readonly request: TerminalRequest
  readonly decision: "approved" | "denied" | null
  readonly approver: Approver | null
  /** When it was polled before, and how many seconds it was to wait since. */
  readonly lastPolledAt: DateTime.Utc | null
  readonly intervalSeconds: number
}

export class TerminalRequests extends Context.Service<
  TerminalRequests,
  {
    /** False, and nothing stored, where there is such a user code already. */
    readonly insert: (
      hashes: { readonly deviceCode: string; readonly userCode: string },
      request: TerminalRequest,
      intervalSeconds: number
    ) => Effect.Effect<boolean, StorageUnavailable>
    /** One that nobody has decided yet. It is nobody's until then, hence asked without a tenant. */
    readonly findPending: (
      userCodeHash: string,
      now: DateTime.Utc
    ) => Effect.Effect<Option.Option<TerminalRequest>, StorageUnavailable>
    /** Decides a pending one; false where it is not pending. */
    readonly decide: (
      id: TerminalRequestId,
      decision: "approved" | "denied",
      approver: Approver,
      now: DateTime.Utc
    ) => Effect.Effect<boolean, StorageUnavailable>
    readonly findByDevice: (
      deviceCodeHash: string
    ) => Effect.Effect<Option.Option<PolledTerminal>, StorageUnavailable>
    /** Remembers a poll, and how long to wait for the next. */
    readonly polled: (
      id: TerminalRequestId,
      at: DateTime.Utc,
      intervalSeconds: number
    ) => Effect.Effect<void, StorageUnavailable>
    /** Takes one that was approved: of many at once, one is answered true. */
    readonly take: (id: TerminalRequestId, now: DateTime.Utc) => Effect.Effect<boolean, StorageUnavailable>
    /** Drops what expired before then. */
    readonly prune: (before: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
  }
>()("@edge-relay/domain/sign-in/TerminalRequests") {
  static readonly layerMemory = Layer.effect(
    TerminalRequests,
    Effect.sync(() => makeMemory())
  )
}

interface Stored extends PolledTerminal {
  readonly deviceCode: string
  readonly userCode: string
}

const makeMemory = () => {
  const requests = new Map<TerminalRequestId, Stored>()
  const find = (test: (one: Stored) => boolean) => Option.fromUndefinedOr(requests.values().find(test))
  const isLive = ({ request }: Stored, now: DateTime.Utc) => DateTime.isLessThan(now, request.expiresAt)

  return TerminalRequests.of({
    insert: (hashes, request, intervalSeconds) =>
      Effect.sync(() => {
        if (Option.isSome(find(({ userCode }) => userCode === hashes.userCode))) return false
        const state = { decision: null, approver: null, lastPolledAt: null, intervalSeconds }
        requests.set(request.id, { ...hashes, request, ...state })
        return true
      }),
    findPending: (userCode, now) =>
      Effect.sync(() =>
        Option.map(
          find((one) => one.userCode === userCode && one.decision === null && isLive(one, now)),
          ({ request }) => request
        )
      ),
    decide: (id, decision, approver, now) =>
      Effect.sync(() => {
        const found = requests.get(id)
        if (found === undefined || found.decision !== null || !isLive(found, now)) return false
        requests.set(id, { ...found, decision, approver })
        return true
      }),
    findByDevice: (deviceCode) => Effect.sync(() => find((one) => one.deviceCode === deviceCode)),
    polled: (id, lastPolledAt, intervalSeconds) =>
      Effect.sync(() => {
        const found = requests.get(id)
        if (found !== undefined) requests.set(id, { ...found, lastPolledAt, intervalSeconds })
      }),
    take: (id, now) =>
      Effect.sync(() => {
        const found = requests.get(id)
        return found?.decision === "approved" && isLive(found, now) && requests.delete(id)
      }),
    prune: (before) =>
      Effect.sync(() => {
        for (const { request } of requests.values()) {
          if (DateTime.isLessThan(request.expiresAt, before)) requests.delete(request.id)
        }
      })
  })
}
