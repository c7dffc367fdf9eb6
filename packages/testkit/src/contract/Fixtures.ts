import { Effect, Layer, Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import type { Vitest } from "@effect/vitest"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { UserId } from "@edge-relay/domain/ids/UserId"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import type * as MemoryStorage from "@edge-relay/domain/MemoryStorage"
import { Pairing } from "@edge-relay/domain/pairing/Pairing"
import { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import * as TypeId from "@edge-relay/domain/ids/TypeId"

/** What the contract suites run on: every repository, of whatever back end, kept from one test to the next. */
export type Repositories =
  | Layer.Success<typeof MemoryStorage.layer>
  | SecureRandom.SecureRandom
  | Digest.Digest

export type It = Vitest.MethodsNonLive<Repositories>

export const crypto = Layer.merge(SecureRandom.layerWebCrypto, Digest.layerWebCrypto)

/** Somebody whom no other test knows. */
export const newUser = Effect.gen(function* () {
  const tenantId = TenantId.make(yield* TypeId.make("tenant"))
  const userId = UserId.make(yield* TypeId.make("user"))
  return { tenantId, userId }
})

/** An edge that was paired by a code, and its token. */
export const pairedEdge = Effect.fnUntraced(
  function* (tenantId: TenantId, userId: UserId, name = "edge") {
    const pairing = yield* Pairing
    const { code } = yield* pairing.createCode(tenantId, userId, { name })
    return yield* pairing.exchange({ code })
  },
  Effect.provide(Pairing.layer, { local: true })
)

export const missingEdge = Effect.map(TypeId.make("edge"), (id): EdgeId => id as EdgeId) // as: just made

/** A failure as a back end would have it. */
export const away = Effect.suspend(() => new StorageUnavailable({ operation: "test", cause: "away" }))

export const garbage = Redacted.make("ert_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
