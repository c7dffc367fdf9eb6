import { TokenId } from "../ids/TokenId.ts"
import { Context, DateTime, Effect, Layer, Option, type Redacted, Schema } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import type { TenantId } from "../ids/TenantId.ts"
import { EdgeEvents } from "../edges/EdgeEvents.ts"
import type { EdgeId } from "../ids/EdgeId.ts"
import { EdgeNotFound, Edges } from "../edges/Edges.ts"
import { PairingCodeId } from "../ids/PairingCodeId.ts"
import { PairingCodes } from "../pairing/PairingCodes.ts"
import type { PairingRequestId } from "../ids/PairingRequestId.ts"
import { PairingRequests } from "../pairing/PairingRequests.ts"
import * as Secret from "../Secret.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"
import * as TypeId from "../ids/TypeId.ts"

/**
 * The tokens that agents open their tunnels with: `ert_` and 256 random bits, kept as SHA-256.
 *
 * A token from a pairing counts only when what granted it, a code or a request, is marked used by that very
 * token; so one that was issued by an exchange which then broke off is worth nothing, even where it could not
 * be taken back. A rotated token needs no grant: a signed-in owner asked for it.
 */

/** What a token was issued for. */
export type GrantId = PairingCodeId | PairingRequestId

/** How long a replaced token stays good, if the new one does not connect before. */
export const replacedMillis = 24 * 60 * 60_000

/** A new token. The secret is nowhere else. */
export interface IssuedToken {
  readonly tokenId: TokenId
  readonly secret: Redacted.Redacted<string>
}

export interface AuthenticatedToken {
  readonly tokenId: TokenId
  readonly edgeId: EdgeId
  readonly tenantId: TenantId
}

/** No such token; or one that was revoked, has been replaced, whose edge was removed or whose code is not its. */
export class TokenRejected extends Schema.TaggedError<TokenRejected>()("TokenRejected", {}) {
  override get message(): string {
    return "session token rejected"
  }
}

export class SessionTokens extends Context.Service<
  SessionTokens,
  {
    /** A token that counts once `grantedBy` is marked used by it. */
    readonly issue: (
      tenantId: TenantId,
      edgeId: EdgeId,
      grantedBy: GrantId
    ) => Effect.Effect<IssuedToken, EdgeNotFound | StorageUnavailable>

    /** Who holds this secret. It is what finds the tenant, hence asked without one. */
    readonly authenticate: (
      secret: Redacted.Redacted<string>
    ) => Effect.Effect<AuthenticatedToken, TokenRejected | StorageUnavailable>

    /**
     * The token's tunnel stands. Called once the session is registered: a token that was revoked between
     * `authenticate` and now is rejected here, so that none slips between the two. The first time, this revokes
     * the older tokens of the edge, and answers which.
     */
    readonly connected: (
      tokenId: TokenId
    ) => Effect.Effect<ReadonlyArray<TokenId>, TokenRejected | StorageUnavailable>

    /** A new token; those before it stay good until it first connects, or for 24 h. */
    readonly rotate: (
      tenantId: TenantId,
      edgeId: EdgeId
    ) => Effect.Effect<IssuedToken, EdgeNotFound | StorageUnavailable>

    /** Revokes one token; false where there was nothing to revoke. */
    readonly revoke: (tenantId: TenantId, tokenId: TokenId) => Effect.Effect<boolean, StorageUnavailable>

    /** Revokes every token of an edge, and answers which. */
    readonly revokeAllOf: (
      tenantId: TenantId,
      edgeId: EdgeId
    ) => Effect.Effect<ReadonlyArray<TokenId>, StorageUnavailable>

    /** Revokes the replaced tokens whose 24 h are over, so that open tunnels hear of it; answers how many. */
    readonly revokeReplaced: Effect.Effect<number, StorageUnavailable>

    /** Forgets tokens that were revoked before then. */
    readonly prune: (before: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
  }
>()("@edge-relay/domain/tunnels/SessionTokens") {
  static readonly layerMemory = Layer.effect(
    SessionTokens,
    Effect.suspend(() => makeMemory)
  )
}

interface Stored extends AuthenticatedToken {
  readonly hash: string
  readonly grantedBy: GrantId | null
  /** Counts up with each token of an edge. */
  readonly generation: number
  readonly validUntil: number | null
  readonly connected: boolean
  readonly revokedAt: number | null
}

const isCodeId = Schema.is(PairingCodeId)

const makeMemory = Effect.gen(function* () {
  const edges = yield* Edges
  const events = yield* EdgeEvents
  const codes = yield* PairingCodes
  const requests = yield* PairingRequests
  const crypto = yield* Effect.context<SecureRandom.SecureRandom | Digest.Digest>()
  const tokens = new Map<TokenId, Stored>()
  const byHash = new Map<string, TokenId>()
  const now = Effect.map(DateTime.now, DateTime.toEpochMillis)

  const of = (edgeId: EdgeId) => Array.from(tokens.values()).filter((one) => one.edgeId === edgeId)
  const isLive = ({ revokedAt, validUntil }: Stored, at: number) =>
    revokedAt === null && (validUntil === null || validUntil > at)

  const good = Effect.fnUntraced(function* (token: Stored | undefined) {
    if (token === undefined || !isLive(token, yield* now)) return yield* new TokenRejected()
    yield* edges
      .get(token.tenantId, token.edgeId)
      .pipe(Effect.catchTag("EdgeNotFound", () => new TokenRejected()))
    if (token.grantedBy !== null) {
      const grant = token.grantedBy
      const usedBy = isCodeId(grant) ? yield* codes.usedBy(grant) : yield* requests.usedBy(grant)
      if (Option.getOrUndefined(usedBy) !== token.tokenId) return yield* new TokenRejected()
    }
    return token
  })

  const add = Effect.fnUntraced(function* (tenantId: TenantId, edgeId: EdgeId, grantedBy: GrantId | null) {
    yield* edges.get(tenantId, edgeId)
    const tokenId = TokenId.make(yield* TypeId.make("tok"))
    const secret = yield* Secret.make("ert_")
    const hash = yield* Secret.hash(secret)
    const generation = 1 + Math.max(0, ...of(edgeId).map((one) => one.generation))
    const state = { validUntil: null, connected: false, revokedAt: null }
    tokens.set(tokenId, { tokenId, edgeId, tenantId, hash, grantedBy, generation, ...state })
    byHash.set(hash, tokenId)
    return { tokenId, secret }
  }, Effect.provideContext(crypto))

  const revoke = Effect.fnUntraced(function* (found: ReadonlyArray<Stored>) {
    const revokedAt = yield* now
    const revoked = found.filter((one) => one.revokedAt === null)
    for (const one of revoked) tokens.set(one.tokenId, { ...one, revokedAt })
    for (const { tenantId, edgeId, tokenId } of revoked) {
      yield* events.append(tenantId, { type: "token.revoked", edgeId, tokenId })
    }
    return revoked.map(({ tokenId }) => tokenId)
  })

  return SessionTokens.of({
    issue: add,

    authenticate: Effect.fnUntraced(function* (secret) {
      const id = byHash.get(yield* Effect.provideContext(Secret.hash(secret), crypto))
      const { tokenId, edgeId, tenantId } = yield* good(id === undefined ? undefined : tokens.get(id))
      return { tokenId, edgeId, tenantId }
    }),

    connected: Effect.fn("SessionTokens.connected")(function* (tokenId) {
      const token = yield* good(tokens.get(tokenId))
      if (token.connected) return []
      tokens.set(tokenId, { ...token, connected: true })
      return yield* revoke(of(token.edgeId).filter((one) => one.generation < token.generation))
    }),

    rotate: Effect.fn("SessionTokens.rotate")(function* (tenantId, edgeId) {
      const before = of(edgeId)
      const issued = yield* add(tenantId, edgeId, null)
      const validUntil = (yield* now) + replacedMillis
      for (const one of before) {
        if (one.validUntil === null) tokens.set(one.tokenId, { ...one, validUntil })
      }
      return issued
    }),

    revoke: (tenantId, tokenId) =>
      Effect.suspend(() => {
        const found = tokens.get(tokenId)
        return found?.tenantId === tenantId
          ? Effect.map(revoke([found]), (revoked) => revoked.length > 0)
          : Effect.succeed(false)
      }),

    revokeAllOf: (tenantId, edgeId) =>
      Effect.suspend(() => revoke(of(edgeId).filter((one) => one.tenantId === tenantId))),

    revokeReplaced: Effect.gen(function* () {
      const at = yield* now
      const over = Array.from(tokens.values()).filter((one) => !isLive(one, at))
      return (yield* revoke(over)).length
    }),

    prune: (before) =>
      Effect.sync(() => {
        for (const { tokenId, hash, revokedAt } of tokens.values()) {
          if (revokedAt === null || revokedAt >= before.epochMilliseconds) continue
          tokens.delete(tokenId)
          byHash.delete(hash)
        }
      })
  })
})
