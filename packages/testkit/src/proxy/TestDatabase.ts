import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Effect, Layer, Logger, Redacted } from "effect"
import { NodeCrypto } from "@effect/platform-node"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { Edges } from "@edge-relay/domain/edges/Edges"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import { Database } from "@edge-relay/storage/database/Database"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"

export const tenantId = TenantId.make(`tenant_${"0".repeat(26)}`)

/** A database file in a folder of its own, as the api would fill it. */
export const startDatabase = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "edge-relay-proxy-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const url = `sqlite:${join(folder, "relay.db")}`
  const services = yield* Layer.build(
    SqlStorage.layer.pipe(
      Layer.provide(Database.layer({ url: Redacted.make(url) })),
      Layer.provide(NodeCrypto.layer),
      Layer.provide(Logger.layer([]))
    )
  )
  const edges = Context.get(services, Edges)
  const tokens = Context.get(services, SessionTokens)
  const newEdge = Effect.fnUntraced(function* (name: string) {
    const { id } = yield* edges.create(tenantId, { name })
    // A rotated token needs no pairing code to count.
    const { secret, tokenId } = yield* tokens.rotate(tenantId, id)
    return { edgeId: id, tokenId, token: Redacted.value(secret) }
  })
  return { folder, url, newEdge, edges, tokens, audit: Context.get(services, AuditLog) }
})
