import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { crypto } from "@edge-relay/testkit/contract/Fixtures"
import * as StorageContract from "@edge-relay/testkit/contract/StorageContract"
import { Database } from "../src/database/Database.ts"
import * as SqlStorage from "../src/SqlStorage.ts"

const database = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "edge-relay-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
    ),
    (folder) => Database.layer({ url: Redacted.make(`sqlite:${path.join(folder, "test.db")}`) })
  )
)

layer(SqlStorage.layer.pipe(Layer.provideMerge(database), Layer.provideMerge(crypto)))((it) =>
  StorageContract.suite("SQLite", it)
)
