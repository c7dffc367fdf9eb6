import { spawn } from "node:child_process"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"

/** `npm run api`, as a process of its own. */
export class ApiProcess implements AsyncDisposable {
  readonly #child
  readonly exited: Promise<number | null>
  output = ""

  constructor(env: { readonly [name: string]: string }, folder: string) {
    const main = fileURLToPath(import.meta.resolve("@edge-relay/server-api/main"))
    // Nothing of ours is inherited, so that a developer's own settings change nothing.
    this.#child = spawn(process.execPath, [main], { env: { PATH: process.env["PATH"], ...env }, cwd: folder })
    this.#child.stdout.on("data", (part: Buffer) => (this.output += part.toString()))
    this.#child.stderr.on("data", (part: Buffer) => (this.output += part.toString()))
    this.exited = new Promise((resolve) => this.#child.on("exit", (code) => resolve(code)))
  }

  stop(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    return this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL")
  }
}

export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      // Of a TCP port, hence never a path.
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

export const until = async <A>(ask: () => Promise<A>, isGood: (answer: A) => boolean): Promise<A> => {
  for (const end = Date.now() + 60_000; ;) {
    const answer = await ask().catch(() => undefined)
    if (answer !== undefined && isGood(answer)) return answer
    if (Date.now() > end) throw new Error(`still not so after 60 s: ${JSON.stringify(answer)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
