import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "@effect/vitest"
import * as CrashContract from "./CrashContract.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "edge-relay-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))

let databases = 0
CrashContract.suite("SQLite", () => Promise.resolve(`sqlite:${path.join(folder, `${++databases}.db`)}`))
