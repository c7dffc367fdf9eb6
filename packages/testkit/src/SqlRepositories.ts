import { Database } from "@edge-relay/storage/database/Database"
import * as SignInSessionsSql from "@edge-relay/storage/sign-in/SignInSessionsSql"
import * as SqlStorage from "@edge-relay/storage/SqlStorage"
import { NodeCrypto } from "@effect/platform-node"
import { Effect, Layer, Redacted } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A folder for the scope's life. */
export const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "edge-relay-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Every repository and the sign-in sessions, in the database of that URL. */
export const layerUrl = (url: string) =>
  Layer.mergeAll(SqlStorage.layer, SignInSessionsSql.layer).pipe(
    Layer.provide(Database.layer({ url: Redacted.make(url) })),
    Layer.provide(NodeCrypto.layer),
    Layer.orDie
  )
