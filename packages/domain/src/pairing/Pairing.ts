import { Context, DateTime, Duration, Effect, Layer, Option, Redacted, Schema } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import type { TenantId } from "../ids/TenantId.ts"
import type { UserId } from "../ids/UserId.ts"
import { EdgeId } from "../ids/EdgeId.ts"
import { Edges } from "../edges/Edges.ts"
import type { InvalidCursor, Paged, PageQuery } from "../Paged.ts"
import { PairingCodeId } from "../ids/PairingCodeId.ts"
import { PairingCode, PairingCodes } from "./PairingCodes.ts"
import { PairingRequestId } from "../ids/PairingRequestId.ts"
import { PairingRequest, PairingRequests } from "./PairingRequests.ts"
import * as Secret from "../Secret.ts"
import type { TokenId } from "../ids/TokenId.ts"
import { type GrantId, SessionTokens } from "../tunnels/SessionTokens.ts"
import type { StorageUnavailable } from "../StorageUnavailable.ts"
import { Transaction } from "../Transaction.ts"
import * as TypeId from "../ids/TypeId.ts"
import * as UserCode from "./UserCode.ts"

/**
 * How an edge gets its session token: by a code that was made in the console, or by a request that was begun at
 * the edge and approved by somebody who is signed in. Either gives one token, once, whatever happens at once and
 * wherever it breaks off.
 */

/** How long a code or a request is open. */
const openFor = Duration.minutes(10)

/** How long to wait between two polls (RFC 8628 §3.2), and the most that `slow_down` makes of it. */
const pollSeconds = 5
const maxPollSeconds = 60
/** A poll may be on the way for longer than the one before it. */
const pollGraceMillis = 1000

/** There is no open code or request of that name: unknown, expired, used, decided or cancelled. */
export class CodeNotOpen extends Schema.TaggedError<CodeNotOpen>()("CodeNotOpen", {}) {
  override get message(): string {
    return "no such open pairing code"
  }
}

/** RFC 8628 §3.5. */
export class PollRefused extends Schema.TaggedError<PollRefused>()("PollRefused", {
  reason: Schema.Literals(["authorization_pending", "slow_down", "access_denied", "expired_token"])
}) {
  override get message(): string {
    return `pairing request not answered: ${this.reason}`
  }
}

/** What an edge is given, once. */
export interface Paired {
  readonly edgeId: EdgeId
  readonly tenantId: TenantId
  readonly token: Redacted.Redacted<string>
}

export interface NewPairingCode {
  readonly id: PairingCodeId
  readonly code: Redacted.Redacted<string>
  readonly expiresAt: DateTime.Utc
}

export interface BegunPairing {
  /** For the edge alone, which polls with it. */
  readonly deviceCode: Redacted.Redacted<string>
  /** For a person to type. */
  readonly userCode: Redacted.Redacted<string>
  readonly expiresInSeconds: number
  readonly intervalSeconds: number
}

export class Pairing extends Context.Service<
  Pairing,
  {
    readonly createCode: (
      tenantId: TenantId,
      userId: UserId,
      edge: { readonly name?: string | undefined }
    ) => Effect.Effect<NewPairingCode, StorageUnavailable>
    /** Open codes, oldest first. */
    readonly listCodes: (
      tenantId: TenantId,
      query: PageQuery
    ) => Effect.Effect<Paged<PairingCode>, InvalidCursor | StorageUnavailable>
    readonly cancelCode: (
      tenantId: TenantId,
      id: PairingCodeId
    ) => Effect.Effect<void, CodeNotOpen | StorageUnavailable>
    /** The code as it was typed; the edge is called as the code says, or by its own name, or its host's. */
    readonly exchange: (request: {
      readonly code: Redacted.Redacted<string>
      readonly name?: string | undefined
      readonly hostname?: string | undefined
    }) => Effect.Effect<Paired, CodeNotOpen | StorageUnavailable>

    readonly begin: (edge: {
      readonly hostname: string
      readonly name?: string | undefined
      readonly address?: string | undefined
    }) => Effect.Effect<BegunPairing, StorageUnavailable>
    readonly poll: (
      deviceCode: Redacted.Redacted<string>
    ) => Effect.Effect<Paired, PollRefused | StorageUnavailable>
    /** What is asking, while nobody has decided: any signed-in user who was told the code may look. */
    readonly request: (
      userCode: Redacted.Redacted<string>
    ) => Effect.Effect<PairingRequest, CodeNotOpen | StorageUnavailable>
    /** The edge becomes the tenant's. Answers what was decided about. */
    readonly approve: (
      tenantId: TenantId,
      userId: UserId,
      userCode: Redacted.Redacted<string>
    ) => Effect.Effect<PairingRequest, CodeNotOpen | StorageUnavailable>
    readonly deny: (
      tenantId: TenantId,
      userId: UserId,
      userCode: Redacted.Redacted<string>
    ) => Effect.Effect<PairingRequest, CodeNotOpen | StorageUnavailable>
  }
>()("@edge-relay/domain/pairing/Pairing") {
  static readonly layer = Layer.effect(
    Pairing,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function* () {
  const codes = yield* PairingCodes
  const requests = yield* PairingRequests
  const edges = yield* Edges
  const tokens = yield* SessionTokens
  const transaction = yield* Transaction
  const crypto = yield* Effect.context<SecureRandom.SecureRandom | Digest.Digest>()

  /**
   * Issues a token and marks its grant used, or neither. The token is issued first and counts only once it is
   * marked, so that a crash in between leaves nothing that opens anything. Where the store cannot roll back, what
   * was made is taken back by hand.
   */
  const pair = Effect.fnUntraced(function* (
    tenantId: TenantId,
    grantId: GrantId,
    name: string,
    markUsed: (tokenId: TokenId) => Effect.Effect<boolean, StorageUnavailable>
  ) {
    const edgeId = EdgeId.make(yield* Effect.provideContext(TypeId.make("edge"), crypto))
    let issued: TokenId | undefined
    const exchange = Effect.gen(function* () {
      yield* edges.create(tenantId, { id: edgeId, name })
      const { tokenId, secret } = yield* tokens
        .issue(tenantId, edgeId, grantId)
        .pipe(Effect.catchTag("EdgeNotFound", (error) => Effect.die(error)))
      issued = tokenId
      if (!(yield* markUsed(tokenId))) return yield* new CodeNotOpen()
      return { edgeId, tenantId, token: secret }
    })
    return yield* transaction.run(
      exchange,
      Effect.suspend(() => undo(tenantId, edgeId, issued))
    )
  })

  /**
   * Either of the two makes the token worthless; both are done, since the other one may fail after a code that was
   * marked without an answer.
   */

  const undo = (tenantId: TenantId, edgeId: EdgeId, tokenId: TokenId | undefined) =>
    Effect.gen(function* () {
      if (tokenId !== undefined) {
        yield* Effect.ignore(tokens.revoke(tenantId, tokenId), {
          log: "Error",
          message: "the token of a pairing that failed could not be revoked"
        })
      }
      yield* edges.remove(tenantId, edgeId).pipe(
        Effect.catchTag("EdgeNotFound", () => Effect.void),
        Effect.ignore({ log: "Error", message: "the edge of a pairing that failed could not be removed" })
      )
    })

  const hashOf = (typed: Redacted.Redacted<string>) =>
    Effect.fromOption(UserCode.parse(typed)).pipe(
      Effect.mapError(() => new CodeNotOpen()),
      Effect.flatMap(Secret.hash),
      Effect.provideContext(crypto)
    )

  const pending = Effect.fnUntraced(function* (userCode: Redacted.Redacted<string>, now: DateTime.Utc) {
    const found = yield* requests.findPending(yield* hashOf(userCode), now)
    return yield* Effect.mapError(Effect.fromOption(found), () => new CodeNotOpen())
  })

  const decide = (decision: "approved" | "denied") =>
    Effect.fnUntraced(function* (tenantId: TenantId, userId: UserId, userCode: Redacted.Redacted<string>) {
      const now = yield* DateTime.now
      const request = yield* pending(userCode, now)
      if (!(yield* requests.decide(tenantId, userId, request.id, decision, now)))
        return yield* new CodeNotOpen()
      return request
    })

  /** Tries new codes until one is free; the chance of a second try is about one in a hundred million. */
  const withNewCode = <A>(
    insert: (hash: string) => Effect.Effect<boolean, StorageUnavailable>,
    answer: (code: Redacted.Redacted<string>) => A
  ) =>
    Effect.gen(function* () {
      while (true) {
        const code = yield* UserCode.make
        if (yield* insert(yield* Secret.hash(code))) return answer(code)
      }
    }).pipe(Effect.provideContext(crypto))

  return Pairing.of({
    createCode: Effect.fn("Pairing.createCode")(function* (tenantId, userId, { name = null }) {
      const createdAt = yield* DateTime.now
      const expiresAt = DateTime.addDuration(createdAt, openFor)
      const id = PairingCodeId.make(yield* Effect.provideContext(TypeId.make("code"), crypto))
      const stored = new PairingCode({ id, name, createdAt, expiresAt })
      return yield* withNewCode(
        (hash) => codes.insert(tenantId, userId, hash, stored),
        (code) => ({ id, code, expiresAt })
      )
    }),

    listCodes: Effect.fn("Pairing.listCodes")(function* (tenantId, query) {
      return yield* codes.list(tenantId, yield* DateTime.now, query)
    }),

    cancelCode: Effect.fn("Pairing.cancelCode")(function* (tenantId, id) {
      if (!(yield* codes.cancel(tenantId, id, yield* DateTime.now))) return yield* new CodeNotOpen()
    }),

    exchange: Effect.fn("Pairing.exchange")(function* ({ code: typed, name, hostname }) {
      const now = yield* DateTime.now
      const found = yield* codes.findOpen(yield* hashOf(typed), now)
      if (Option.isNone(found)) return yield* new CodeNotOpen()
      const { tenantId, code } = found.value
      return yield* pair(tenantId, code.id, code.name ?? name ?? hostname ?? unnamed, (tokenId) =>
        codes.markUsed(tenantId, code.id, tokenId, now)
      )
    }),

    begin: Effect.fn("Pairing.begin")(function* ({ hostname, name = null, address = null }) {
      const createdAt = yield* DateTime.now
      const expiresAt = DateTime.addDuration(createdAt, openFor)
      const id = PairingRequestId.make(yield* Effect.provideContext(TypeId.make("preq"), crypto))
      const request = new PairingRequest({ id, hostname, name, address, createdAt, expiresAt })
      const deviceCode = yield* Effect.provideContext(Secret.make(""), crypto)
      const deviceHash = yield* Effect.provideContext(Secret.hash(deviceCode), crypto)
      return yield* withNewCode(
        (userHash) => requests.insert({ deviceCode: deviceHash, userCode: userHash }, request, pollSeconds),
        (userCode) => ({
          deviceCode,
          userCode,
          expiresInSeconds: Duration.toSeconds(openFor),
          intervalSeconds: pollSeconds
        })
      )
    }),

    poll: Effect.fn("Pairing.poll")(function* (deviceCode) {
      const now = yield* DateTime.now
      const hash = yield* Effect.provideContext(Secret.hash(deviceCode), crypto)
      const found = Option.getOrUndefined(yield* requests.findByDevice(hash))
      if (found === undefined || found.usedBy !== null)
        return yield* new PollRefused({ reason: "expired_token" })
      const { request, decision, tenantId, lastPolledAt, intervalSeconds } = found
      if (!DateTime.isLessThan(now, request.expiresAt))
        return yield* new PollRefused({ reason: "expired_token" })
      if (decision === "denied") return yield* new PollRefused({ reason: "access_denied" })
      if (decision === null || tenantId === null) {
        const earliest = (lastPolledAt?.epochMilliseconds ?? 0) + intervalSeconds * 1000 - pollGraceMillis
        const early = now.epochMilliseconds < earliest
        const interval = early ? Math.min(intervalSeconds + 5, maxPollSeconds) : intervalSeconds
        yield* requests.polled(request.id, now, interval)
        return yield* new PollRefused({ reason: early ? "slow_down" : "authorization_pending" })
      }
      return yield* pair(tenantId, request.id, request.name ?? request.hostname, (tokenId) =>
        requests.markUsed(tenantId, request.id, tokenId, now)
      ).pipe(Effect.catchTag("CodeNotOpen", () => new PollRefused({ reason: "expired_token" })))
    }),

    request: Effect.fn("Pairing.request")(function* (userCode) {
      return yield* pending(userCode, yield* DateTime.now)
    }),
    approve: Effect.fn("Pairing.approve")(decide("approved")),
    deny: Effect.fn("Pairing.deny")(decide("denied"))
  })
})

/** What an edge is called that neither says its name nor its host's. */
const unnamed = "Unnamed edge"
