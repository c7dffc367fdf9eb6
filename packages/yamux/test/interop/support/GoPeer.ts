import { spawn, spawnSync } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Role } from "../../../src/Session.ts"

export const goInstalled = spawnSync("go", ["version"]).status === 0

export interface GoPeer {
  /** What the peer printed after this word, once it has. */
  readonly says: (word: "listening" | "result") => Promise<string>
  readonly stop: () => void
}

/** The peer's program, built into a folder of its own. */
export class GoPeers {
  readonly #folder = mkdtempSync(join(tmpdir(), "yamux-interop-"))
  readonly #running = new Set<ChildProcess>()

  build(): void {
    const cwd = join(import.meta.dirname, "../go")
    const { status, stderr } = spawnSync("go", ["build", "-o", join(this.#folder, "peer"), "."], { cwd })
    if (status !== 0) throw new Error(`go build: ${stderr}`)
  }

  start(role: Role, ...flags: ReadonlyArray<string>): GoPeer {
    const child = spawn(join(this.#folder, "peer"), ["-role", role, ...flags], {
      stdio: ["ignore", "pipe", "ignore"]
    })
    this.#running.add(child)
    const said = new Map<string, PromiseWithResolvers<string>>()
    const saying = (word: string): PromiseWithResolvers<string> => {
      const existing = said.get(word) ?? Promise.withResolvers<string>()
      said.set(word, existing)
      return existing
    }
    createInterface(child.stdout).on("line", (line) => {
      const space = line.indexOf(" ")
      if (space > 0) saying(line.slice(0, space)).resolve(line.slice(space + 1))
    })
    return {
      says: (word) => saying(word).promise,
      stop: () => {
        this.#running.delete(child)
        child.kill()
      }
    }
  }

  end(): void {
    for (const child of this.#running) child.kill()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
