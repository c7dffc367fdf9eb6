import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"

/** False where there is no Redis to start: then tests of it are skipped, by name. */
export const isInstalled = spawnSync("redis-server", ["--version"]).status === 0

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no port")
  return address.port
}

/** A real Redis on a free port of loopback, that keeps nothing when it ends. */
export class RedisServer implements AsyncDisposable {
  readonly port: number
  readonly #folder: string
  #process: ChildProcess | undefined

  private constructor(folder: string, port: number) {
    this.#folder = folder
    this.port = port
  }

  /** Not running yet. */
  static async create(): Promise<RedisServer> {
    return new RedisServer(await mkdtemp(join(tmpdir(), "edge-relay-redis-")), await freePort())
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Resolves once it takes connections. */
  async start(): Promise<void> {
    const args = ["--port", String(this.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    const child = spawn("redis-server", [...args, "--dir", this.#folder], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    this.#process = child
    const said: Array<string> = []
    for await (const line of createInterface(child.stdout)) {
      said.push(line)
      if (line.includes("Ready to accept connections")) {
        child.stdout.resume()
        return
      }
    }
    throw new Error(`redis did not start: ${said.join("\n")}`)
  }

  /** It stands still, with its connections open. */
  freeze(): void {
    this.#process?.kill("SIGSTOP")
  }

  thaw(): void {
    this.#process?.kill("SIGCONT")
  }

  /** Ends it at once; what it had in memory is gone. */
  async stop(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null) return
    const exit = once(child, "exit")
    child.kill("SIGKILL")
    await exit
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
