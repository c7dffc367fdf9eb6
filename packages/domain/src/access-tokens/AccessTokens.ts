import { Context, DateTime, Effect, Layer, Option, type Redacted, Schema } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { AccessTokenId } from "../ids/AccessTokenId.ts"
import { TenantId } from "../ids/TenantId.ts"
import { UserId } from "../ids/UserId.ts"
import * as TypeId from "../ids/TypeId.ts"
import * as Paged from "../Paged.ts"
import type { InvalidCursor } from "../Paged.ts"
import * as Secret from "../Secret.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"
import * as AccessTokenSecret from "./AccessTokenSecret.ts"
import { EdgeReach } from "./EdgeReach.ts"
import { Scope } from "./Scope.ts"

/**
 * Personal access tokens: what a script sends in place of a browser's cookie. A token acts for the person who made
 * it, in that person's tenant, for what its scopes say, until it expires or is revoked. Kept as SHA-256.
 */

/** A token, without its secret. */
export class AccessToken extends Schema.Class<AccessToken>("@edge-relay/domain/AccessToken")({
  id: AccessTokenId,
  tenantId: TenantId,
  userId: UserId,
  /** Who the user is at the identity provider. */
  issuer: Schema.String,
  subject: Schema.String,
  name: Schema.String,
  /** Sorted, each once. */
  scopes: Schema.Array(Scope),
  /** Null: all of the tenant's edges. */
  reach: Schema.NullOr(EdgeReach),
  createdAt: Schema.DateTimeUtc,
  expiresAt: Schema.DateTimeUtc,
  lastUsedAt: Schema.NullOr(Schema.DateTimeUtc),
  lastUsedFrom: Schema.NullOr(Schema.String)
}) {}

export type NewAccessToken = Pick<
  AccessToken,
  "tenantId" | "userId" | "issuer" | "subject" | "name" | "scopes" | "reach" | "expiresAt"
>

/** A new token. The secret is nowhere else. */
export interface IssuedAccessToken {
  readonly token: AccessToken
  readonly secret: Redacted.Redacted<string>
}

export class AccessTokens extends Context.Service<
  AccessTokens,
  {
    readonly create: (token: NewAccessToken) => Effect.Effect<IssuedAccessToken, StorageUnavailable>
    /** The live token of that hash. It is what finds the tenant, hence asked without one. */
    readonly find: (hash: string) => Effect.Effect<Option.Option<AccessToken>, StorageUnavailable>
    /** Of these, the ones that are live. */
    readonly live: (
      ids: ReadonlyArray<AccessTokenId>
    ) => Effect.Effect<ReadonlyArray<AccessTokenId>, StorageUnavailable>
    /** A person's, oldest first: those that expired too, until they are pruned, but none that was revoked. */
    readonly list: (
      tenantId: TenantId,
      userId: UserId,
      query: Paged.PageQuery
    ) => Effect.Effect<Paged.Paged<AccessToken>, InvalidCursor | StorageUnavailable>
    /** Ends a token of that person; none where there is nothing to end. */
    readonly revoke: (
      tenantId: TenantId,
      userId: UserId,
      id: AccessTokenId
    ) => Effect.Effect<Option.Option<AccessToken>, StorageUnavailable>
    /** Notes when a token was last used, and from where. */
    readonly used: (
      id: AccessTokenId,
      at: DateTime.Utc,
      address: string
    ) => Effect.Effect<void, StorageUnavailable>
    /** Forgets tokens that expired before then. */
    readonly prune: (before: DateTime.Utc) => Effect.Effect<void, StorageUnavailable>
  }
>()("@edge-relay/domain/access-tokens/AccessTokens") {
  static readonly layerMemory = Layer.effect(
    AccessTokens,
    Effect.suspend(() => makeMemory)
  )
}

const isTokenId = Schema.is(AccessTokenId)

/** A list of tokens goes on after the last token's id. */
export const cursorToId = (cursor: string): Effect.Effect<AccessTokenId, InvalidCursor> =>
  isTokenId(cursor) ? Effect.succeed(cursor) : Effect.fail(new Paged.InvalidCursor({ cursor }))

/** A new token with its id, its secret and the secret's hash. */
export const issue = Effect.fnUntraced(function* (token: NewAccessToken) {
  const secret = yield* AccessTokenSecret.make
  const issued = new AccessToken({
    ...token,
    scopes: Array.from(new Set(token.scopes)).sort(),
    id: AccessTokenId.make(yield* TypeId.make("pat")),
    createdAt: yield* DateTime.now,
    lastUsedAt: null,
    lastUsedFrom: null
  })
  return { token: issued, secret, hash: yield* Secret.hash(secret) }
})

const makeMemory = Effect.gen(function* () {
  const crypto = yield* Effect.context<SecureRandom.SecureRandom | Digest.Digest>()
  const tokens = new Map<AccessTokenId, { readonly hash: string; readonly token: AccessToken }>()
  const isLive = ({ expiresAt }: AccessToken, now: DateTime.Utc) => DateTime.isLessThan(now, expiresAt)

  return AccessTokens.of({
    create: Effect.fn("AccessTokens.create")(function* (created) {
      const { hash, secret, token } = yield* Effect.provideContext(issue(created), crypto)
      tokens.set(token.id, { hash, token })
      return { token, secret }
    }),

    find: (hash) =>
      Effect.map(DateTime.now, (now) => {
        const found = tokens.values().find((one) => one.hash === hash)
        return found !== undefined && isLive(found.token, now) ? Option.some(found.token) : Option.none()
      }),

    live: (ids) =>
      Effect.map(DateTime.now, (now) =>
        ids.filter((id) => {
          const found = tokens.get(id)
          return found !== undefined && isLive(found.token, now)
        })
      ),

    list: Effect.fn("AccessTokens.list")(function* (tenantId, userId, { limit, cursor }) {
      const after = cursor === undefined ? "" : yield* cursorToId(cursor)
      const found = Array.from(tokens.values(), ({ token }) => token)
        .filter((token) => token.tenantId === tenantId && token.userId === userId && token.id > after)
        .sort((a, b) => (a.id < b.id ? -1 : 1))
      return Paged.of(found, limit, ({ id }) => id)
    }),

    revoke: (tenantId, userId, id) =>
      Effect.sync(() => {
        const found = tokens.get(id)?.token
        if (found?.tenantId !== tenantId || found.userId !== userId) return Option.none()
        tokens.delete(id)
        return Option.some(found)
      }),

    used: (id, lastUsedAt, lastUsedFrom) =>
      Effect.sync(() => {
        const found = tokens.get(id)
        if (found === undefined) return
        tokens.set(id, { ...found, token: new AccessToken({ ...found.token, lastUsedAt, lastUsedFrom }) })
      }),

    prune: (before) =>
      Effect.sync(() => {
        for (const { token } of tokens.values()) {
          if (DateTime.isLessThan(token.expiresAt, before)) tokens.delete(token.id)
        }
      })
  })
})
