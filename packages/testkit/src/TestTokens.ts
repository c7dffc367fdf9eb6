import { Effect, Layer, Redacted } from "effect"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { TokenId } from "@edge-relay/domain/ids/TokenId"
import {
  type AuthenticatedToken,
  SessionTokens,
  TokenRejected
} from "@edge-relay/domain/tunnels/SessionTokens"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"

const id = (prefix: string, index: number) => `${prefix}_${String(index).padStart(26, "0")}`

/** Tokens `ert_1`, `ert_2` … are of edges 1, 2 …; what a test does to them the next question shows. */
export class TestTokens {
  readonly connected: Array<TokenId> = []
  readonly revoked = new Set<TokenId>()
  /** Older tokens that a token's first connection replaces. */
  readonly replaces = new Map<TokenId, ReadonlyArray<TokenId>>()
  isUnavailable = false
  /** Runs in the middle of each authentication. */
  onAuthenticate: Effect.Effect<void> = Effect.void

  readonly layer = Layer.mock(SessionTokens, {
    authenticate: (secret) =>
      Effect.gen({ self: this }, function* () {
        yield* this.onAuthenticate
        if (this.isUnavailable) return yield* unavailable("authenticate")
        const index = /^ert_(\d+)$/.exec(Redacted.value(secret))?.[1]
        if (index === undefined) return yield* new TokenRejected()
        const token = tokenOf(Number(index))
        if (this.revoked.has(token.tokenId)) return yield* new TokenRejected()
        return token
      }),
    connected: (tokenId) =>
      Effect.gen({ self: this }, function* () {
        if (this.isUnavailable) return yield* unavailable("connected")
        if (this.revoked.has(tokenId)) return yield* new TokenRejected()
        this.connected.push(tokenId)
        return this.replaces.get(tokenId) ?? []
      })
  })
}

const unavailable = (operation: string) =>
  new StorageUnavailable({ operation, cause: new Error("disk is full") })

/** Tokens 101, 201 … are more tokens of edge 1. */
export const tokenOf = (index: number): AuthenticatedToken => ({
  tokenId: TokenId.make(id("tok", index)),
  edgeId: EdgeId.make(id("edge", index % 100)),
  tenantId: TenantId.make(id("tenant", 1))
})
