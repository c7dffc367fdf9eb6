import type { AuditAction, StoredAuditAction } from "./AuditAction.ts"
import { AuditId } from "../ids/AuditId.ts"
import { Context, DateTime, Effect, Layer, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import type { TenantId } from "../ids/TenantId.ts"
import type { EdgeId } from "../ids/EdgeId.ts"
import * as Paged from "../Paged.ts"
import type { InvalidCursor } from "../Paged.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"
import * as TypeId from "../ids/TypeId.ts"

/** Who did what, when, from where, and how it ended. Entries are added, never changed, and dropped by age only. */

/** What happened. Nothing in it is ever a token, a code or a cookie. */
export interface NewAuditEntry {
  readonly action: AuditAction
  readonly outcome: "success" | "failure"
  /** Where it is known whose it was; an entry without one is in no tenant's list. */
  readonly tenantId?: TenantId | undefined
  /** A user's id, or an edge's. */
  readonly actor?: string | undefined
  readonly edgeId?: EdgeId | undefined
  readonly address?: string | undefined
  readonly requestId?: string | undefined
  readonly detail?: string | undefined
}

export interface AuditEntry {
  readonly id: AuditId
  readonly at: DateTime.Utc
  readonly action: StoredAuditAction
  readonly outcome: "success" | "failure"
  readonly actor: string | null
  readonly edgeId: EdgeId | null
  readonly address: string | null
  readonly requestId: string | null
  readonly detail: string | null
}

export interface AuditQuery extends Paged.PageQuery {
  readonly action?: AuditAction | undefined
  readonly edgeId?: EdgeId | undefined
}

export class AuditLog extends Context.Service<
  AuditLog,
  {
    readonly record: (entry: NewAuditEntry) => Effect.Effect<void, StorageUnavailable>
    /** Newest first. */
    readonly list: (
      tenantId: TenantId,
      query: AuditQuery
    ) => Effect.Effect<Paged.Paged<AuditEntry>, InvalidCursor | StorageUnavailable>
    /** Drops what is older. */
    readonly prune: (before: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
  }
>()("@edge-relay/domain/audit/AuditLog") {
  static readonly layerMemory = Layer.effect(
    AuditLog,
    Effect.suspend(() => makeMemory)
  )
}

const isAuditId = Schema.is(AuditId)

/** A list of entries goes on before the last entry's id. */
export const cursorToId = (cursor: string): Effect.Effect<AuditId, InvalidCursor> =>
  isAuditId(cursor) ? Effect.succeed(cursor) : Effect.fail(new Paged.InvalidCursor({ cursor }))

/** Memory keeps the newest entries only. */
const maxEntries = 10_000

const makeMemory = Effect.gen(function* () {
  const random = yield* SecureRandom.SecureRandom
  const newId = Effect.provideService(TypeId.make("audit"), SecureRandom.SecureRandom, random)
  let entries: ReadonlyArray<{ readonly tenantId: TenantId | undefined; readonly entry: AuditEntry }> = []

  return AuditLog.of({
    record: Effect.fn("AuditLog.record")(function* ({ action, outcome, tenantId, ...rest }) {
      const { actor = null, edgeId = null, address = null, requestId = null, detail = null } = rest
      const id = AuditId.make(yield* newId)
      const at = yield* DateTime.now
      const entry = { id, at, action, outcome, actor, edgeId, address, requestId, detail }
      entries = [...entries.slice(1 - maxEntries), { tenantId, entry }]
    }),

    list: Effect.fn("AuditLog.list")(function* (tenantId, { limit, cursor, action, edgeId }) {
      const before = cursor === undefined ? undefined : yield* cursorToId(cursor)
      const found = entries
        .filter((one) => one.tenantId === tenantId)
        .map(({ entry }) => entry)
        .filter(
          (entry) =>
            (before === undefined || entry.id < before) &&
            (action === undefined || entry.action === action) &&
            (edgeId === undefined || entry.edgeId === edgeId)
        )
        .reverse()
      return Paged.of(found, limit, ({ id }) => id)
    }),

    prune: (before) =>
      Effect.sync(() => {
        entries = entries.filter(({ entry }) => !DateTime.isLessThan(entry.at, before))
      })
  })
})
