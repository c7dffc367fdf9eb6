import { Context, DateTime, Effect, Layer, Option, type Redacted, Schema } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { AccessTokenId } from "../ids/AccessTokenId.ts"
import { TenantId } from "../ids/TenantId.ts"
import { Role } from "../sign-in/Role.ts"
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
 * Access tokens: what a script sends in place of a browser's cookie. A token acts for the person who made it, in that
 * person's tenant, for what its scopes say, until it ends or is revoked. Kept as SHA-256.
 *
 * A personal one has the same text to its end. That of a terminal sign-in (`edge-relay login`) has a text for an hour
 * at a time, and a refresh token that is replaced with it: one that is used twice has been stolen, and ends it.
 */

/** How long a text of a terminal's token is good. */
export const textMillis = 60 * 60_000

/** Where somebody signed in from a terminal. */
const Terminal = Schema.Struct({ hostname: Schema.String, address: Schema.NullOr(Schema.String) })

/** A token, without its secret. */
export class AccessToken extends Schema.Class<AccessToken>("@edge-relay/domain/AccessToken")({
  id: AccessTokenId,
  tenantId: TenantId,
  userId: UserId,
  /** Who the user is at the identity provider. */
  issuer: Schema.String,
  subject: Schema.String,
  /** What that person may at most. */
  role: Role,
  name: Schema.String,
  /** Sorted, each once. */
  scopes: Schema.Array(Scope),
  /** Null: all of the tenant's edges. */
  reach: Schema.NullOr(EdgeReach),
  createdAt: Schema.DateTimeUtc,
  /** When its text expires: at its end, but for a terminal's. */
  expiresAt: Schema.DateTimeUtc,
  /** Nothing extends this one. */
  endsAt: Schema.DateTimeUtc,
  /** Null for a personal token. */
  terminal: Schema.NullOr(Terminal),
  lastUsedAt: Schema.NullOr(Schema.DateTimeUtc),
  lastUsedFrom: Schema.NullOr(Schema.String)
}) {}

export type NewAccessToken = Pick<
  AccessToken,
  "tenantId" | "userId" | "issuer" | "subject" | "role" | "name" | "scopes" | "reach" | "expiresAt"
>

export type NewTerminal = Pick<
  AccessToken,
  "tenantId" | "userId" | "issuer" | "subject" | "role" | "scopes" | "endsAt"
> & {
  readonly terminal: typeof Terminal.Type
}

/** A new token. The secret is nowhere else. */
export interface IssuedAccessToken {
  readonly token: AccessToken
  readonly secret: Redacted.Redacted<string>
}

/** A terminal's token with a new text, and what replaces both. */
export interface IssuedTerminal extends IssuedAccessToken {
  readonly refresh: Redacted.Redacted<string>
}

/** Nobody has such a refresh token; or it was used before, and the sign-in has been ended for it. */
export class RefreshRejected extends Schema.TaggedError<RefreshRejected>()("RefreshRejected", {
  /** Whose it was, where it was used before. */
  reused: Schema.NullOr(AccessToken)
}) {
  override get message(): string {
    return this.reused === null ? "refresh token rejected" : `refresh token of ${this.reused.id} used twice`
  }
}

export class AccessTokens extends Context.Service<
  AccessTokens,
  {
    readonly create: (token: NewAccessToken) => Effect.Effect<IssuedAccessToken, StorageUnavailable>
    readonly createTerminal: (terminal: NewTerminal) => Effect.Effect<IssuedTerminal, StorageUnavailable>
    /** A new text and a new refresh token for those of that refresh token, once. */
    readonly refresh: (
      secret: Redacted.Redacted<string>
    ) => Effect.Effect<IssuedTerminal, RefreshRejected | StorageUnavailable>
    /** A person's terminals that have not ended, newest first. */
    readonly terminals: (
      tenantId: TenantId,
      userId: UserId
    ) => Effect.Effect<ReadonlyArray<AccessToken>, StorageUnavailable>
    /** The live token of that hash. It is what finds the tenant, hence asked without one. */
    readonly find: (hash: string) => Effect.Effect<Option.Option<AccessToken>, StorageUnavailable>
    /** Of these, the ones that have not ended, whatever text they have. */
    readonly live: (
      ids: ReadonlyArray<AccessTokenId>
    ) => Effect.Effect<ReadonlyArray<AccessTokenId>, StorageUnavailable>
    /** A person's own, oldest first: those that expired too, until they are pruned, but none that was revoked. */
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
    /** Forgets tokens that ended before then. */
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
export const issue = Effect.fnUntraced(function* (
  token: NewAccessToken & Partial<Pick<AccessToken, "endsAt" | "terminal">>
) {
  const secret = yield* AccessTokenSecret.make
  const issued = new AccessToken({
    endsAt: token.expiresAt,
    terminal: null,
    ...token,
    scopes: Array.from(new Set(token.scopes)).sort(),
    id: AccessTokenId.make(yield* TypeId.make("pat")),
    createdAt: yield* DateTime.now,
    lastUsedAt: null,
    lastUsedFrom: null
  })
  return { token: issued, secret, hash: yield* Secret.hash(secret) }
})

/** A new terminal's token, and its first refresh token with the hash of that. */
export const issueTerminal = Effect.fnUntraced(function* (created: NewTerminal) {
  const expiresAt = yield* textEnd(created.endsAt)
  const name = created.terminal.hostname
  const issued = yield* issue({ ...created, name, reach: null, expiresAt })
  const refresh = yield* Secret.make(refreshPrefix)
  return { ...issued, refresh, refreshHash: yield* Secret.hash(refresh) }
})

const refreshPrefix = "err_"

/** When a text that is made now expires: not after its token ends. */
export const textEnd = (endsAt: DateTime.Utc): Effect.Effect<DateTime.Utc> =>
  Effect.map(DateTime.now, (now) => DateTime.min(DateTime.add(now, { milliseconds: textMillis }), endsAt))

/** What replaces text and refresh token, with the hashes of both. */
export const renew = Effect.gen(function* () {
  const secret = yield* AccessTokenSecret.make
  const refresh = yield* Secret.make(refreshPrefix)
  return { secret, hash: yield* Secret.hash(secret), refresh, refreshHash: yield* Secret.hash(refresh) }
})

interface Stored {
  readonly hash: string
  readonly refreshHash: string | null
  readonly token: AccessToken
}

const makeMemory = Effect.gen(function* () {
  const crypto = yield* Effect.context<SecureRandom.SecureRandom | Digest.Digest>()
  const tokens = new Map<AccessTokenId, Stored>()
  /** Refresh tokens that were replaced, and whose they were. */
  const used = new Map<string, AccessTokenId>()
  const isLive = ({ expiresAt }: AccessToken, now: DateTime.Utc) => DateTime.isLessThan(now, expiresAt)
  const hasNotEnded = ({ endsAt }: AccessToken, now: DateTime.Utc) => DateTime.isLessThan(now, endsAt)

  return AccessTokens.of({
    create: Effect.fn("AccessTokens.create")(function* (created) {
      const { hash, secret, token } = yield* Effect.provideContext(issue(created), crypto)
      tokens.set(token.id, { hash, refreshHash: null, token })
      return { token, secret }
    }),

    createTerminal: Effect.fn("AccessTokens.createTerminal")(function* (created) {
      const issued = yield* Effect.provideContext(issueTerminal(created), crypto)
      const { hash, refresh, refreshHash, secret, token } = issued
      tokens.set(token.id, { hash, refreshHash, token })
      return { token, secret, refresh }
    }),

    refresh: Effect.fn("AccessTokens.refresh")(function* (given) {
      const givenHash = yield* Effect.provideContext(Secret.hash(given), crypto)
      const now = yield* DateTime.now
      const renewed = yield* Effect.provideContext(renew, crypto)
      const found = tokens.values().find(({ refreshHash }) => refreshHash === givenHash)
      if (found !== undefined && hasNotEnded(found.token, now)) {
        const { hash, refresh, refreshHash, secret } = renewed
        const token = new AccessToken({ ...found.token, expiresAt: yield* textEnd(found.token.endsAt) })
        used.set(givenHash, token.id)
        tokens.set(token.id, { hash, refreshHash, token })
        return { token, secret, refresh }
      }
      const id = used.get(givenHash)
      const reused = id === undefined ? undefined : tokens.get(id)?.token
      if (reused !== undefined) tokens.delete(reused.id)
      return yield* new RefreshRejected({ reused: reused ?? null })
    }),

    terminals: (tenantId, userId) =>
      Effect.map(DateTime.now, (now) =>
        Array.from(tokens.values(), ({ token }) => token)
          .filter(
            (token) =>
              token.terminal !== null &&
              token.tenantId === tenantId &&
              token.userId === userId &&
              hasNotEnded(token, now)
          )
          .sort((a, b) => (a.id > b.id ? -1 : 1))
      ),

    find: (hash) =>
      Effect.map(DateTime.now, (now) => {
        const found = tokens.values().find((one) => one.hash === hash)
        return found !== undefined && isLive(found.token, now) ? Option.some(found.token) : Option.none()
      }),

    live: (ids) =>
      Effect.map(DateTime.now, (now) =>
        ids.filter((id) => {
          const found = tokens.get(id)
          return found !== undefined && hasNotEnded(found.token, now)
        })
      ),

    list: Effect.fn("AccessTokens.list")(function* (tenantId, userId, { limit, cursor }) {
      const after = cursor === undefined ? "" : yield* cursorToId(cursor)
      const found = Array.from(tokens.values(), ({ token }) => token)
        .filter(({ terminal }) => terminal === null)
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
          if (DateTime.isLessThan(token.endsAt, before)) tokens.delete(token.id)
        }
      })
  })
})
