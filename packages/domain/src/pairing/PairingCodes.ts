import { PairingCodeId } from "../ids/PairingCodeId.ts"
import { Context, DateTime, Effect, Layer, Option, Schema } from "effect"
import type { TenantId } from "../ids/TenantId.ts"
import type { UserId } from "../ids/UserId.ts"
import * as Paged from "../Paged.ts"
import type { InvalidCursor } from "../Paged.ts"
import type { TokenId } from "../ids/TokenId.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"

/**
 * The codes that were made in the console. A code is open until it has expired or one token has used it, and
 * remembers that token: a session token counts only while its code names it. Codes are kept as hashes.
 */

/** An open code, without the code. */
export class PairingCode extends Schema.Class<PairingCode>("@edge-relay/domain/PairingCode")({
  id: PairingCodeId,
  /** What the edge will be called, if that was said. */
  name: Schema.NullOr(Schema.String),
  createdAt: Schema.DateTimeUtc,
  expiresAt: Schema.DateTimeUtc
}) {}

export class PairingCodes extends Context.Service<
  PairingCodes,
  {
    /** False, and nothing stored, where there is such a code already. */
    readonly insert: (
      tenantId: TenantId,
      userId: UserId,
      hash: string,
      code: PairingCode
    ) => Effect.Effect<boolean, StorageUnavailable>
    /** Whose open code that is. It is what finds the tenant, hence asked without one. */
    readonly findOpen: (
      hash: string,
      now: DateTime.Utc
    ) => Effect.Effect<
      Option.Option<{ readonly tenantId: TenantId; readonly code: PairingCode }>,
      StorageUnavailable
    >
    /** Open ones, oldest first. */
    readonly list: (
      tenantId: TenantId,
      now: DateTime.Utc,
      query: Paged.PageQuery
    ) => Effect.Effect<Paged.Paged<PairingCode>, InvalidCursor | StorageUnavailable>
    /** Ends an open code; false where there is none. */
    readonly cancel: (
      tenantId: TenantId,
      id: PairingCodeId,
      now: DateTime.Utc
    ) => Effect.Effect<boolean, StorageUnavailable>
    /** Marks an open code used by a token; false where it is not open. Of many at once, one is answered true. */
    readonly markUsed: (
      tenantId: TenantId,
      id: PairingCodeId,
      tokenId: TokenId,
      now: DateTime.Utc
    ) => Effect.Effect<boolean, StorageUnavailable>
    readonly usedBy: (id: PairingCodeId) => Effect.Effect<Option.Option<TokenId>, StorageUnavailable>
    /** Drops what expired unused before then. A used code stays as long as its token. */
    readonly prune: (before: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
  }
>()("@edge-relay/domain/pairing/PairingCodes") {
  static readonly layerMemory = Layer.effect(
    PairingCodes,
    Effect.suspend(() => makeMemory)
  )
}

const isCodeId = Schema.is(PairingCodeId)

/** A list of codes goes on after the last code's id. */
export const cursorToId = (cursor: string): Effect.Effect<PairingCodeId, InvalidCursor> =>
  isCodeId(cursor) ? Effect.succeed(cursor) : Effect.fail(new Paged.InvalidCursor({ cursor }))

interface Stored {
  readonly tenantId: TenantId
  readonly hash: string
  readonly code: PairingCode
  readonly usedBy: TokenId | null
}

const makeMemory = Effect.sync(() => {
  const codes = new Map<PairingCodeId, Stored>()
  const isOpen = ({ code, usedBy }: Stored, now: DateTime.Utc) =>
    usedBy === null && DateTime.isLessThan(now, code.expiresAt)
  const open = (tenantId: TenantId, id: PairingCodeId, now: DateTime.Utc) => {
    const found = codes.get(id)
    return found?.tenantId === tenantId && isOpen(found, now) ? found : undefined
  }

  return PairingCodes.of({
    insert: (tenantId, _userId, hash, code) =>
      Effect.sync(() => {
        for (const other of codes.values()) if (other.hash === hash) return false
        codes.set(code.id, { tenantId, hash, code, usedBy: null })
        return true
      }),

    findOpen: (hash, now) =>
      Effect.sync(() => {
        for (const one of codes.values()) if (one.hash === hash && isOpen(one, now)) return Option.some(one)
        return Option.none()
      }),

    list: Effect.fn("PairingCodes.list")(function* (tenantId, now, { limit, cursor }) {
      const after = cursor === undefined ? "" : yield* cursorToId(cursor)
      const found = Array.from(codes.values())
        .filter((one) => one.tenantId === tenantId && isOpen(one, now) && one.code.id > after)
        .map(({ code }) => code)
        .sort((a, b) => (a.id < b.id ? -1 : 1))
      return Paged.of(found, limit, ({ id }) => id)
    }),

    cancel: (tenantId, id, now) =>
      Effect.sync(() => open(tenantId, id, now) !== undefined && codes.delete(id)),

    markUsed: (tenantId, id, tokenId, now) =>
      Effect.sync(() => {
        const found = open(tenantId, id, now)
        if (found === undefined) return false
        codes.set(id, { ...found, usedBy: tokenId })
        return true
      }),

    usedBy: (id) => Effect.sync(() => Option.fromNullishOr(codes.get(id)?.usedBy)),

    prune: (before) =>
      Effect.sync(() => {
        for (const [id, { code, usedBy }] of codes) {
          if (usedBy === null && DateTime.isLessThan(code.expiresAt, before)) codes.delete(id)
        }
      })
  })
})
