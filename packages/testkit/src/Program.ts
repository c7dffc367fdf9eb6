import { type ChildProcess, spawn } from "node:child_process"
import { createServer } from "node:net"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"

/** Where the checkout is. */
export const root = fileURLToPath(new URL("../../..", import.meta.url))

/**
 * A real process of ours, with all that it printed. It is started without a shell and ended by its id, so that
 * nothing of it is left behind.
 */
export class Program {
  readonly child: ChildProcess
  output = ""
  readonly exited: Promise<number>
  #watchers = new Set<() => void>()

  /** `script` is a path in the checkout, or an absolute one. */
  constructor(script: string, args: ReadonlyArray<string>, env: Record<string, string>, cwd: string = root) {
    this.child = spawn(process.execPath, [resolve(root, script), ...args], {
      cwd,
      env: { PATH: process.env.PATH ?? "", HOME: cwd, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"]
    })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text
        for (const watcher of this.#watchers) watcher()
      })
    }
    this.exited = new Promise((done) => {
      // 128 + the signal's number, as a shell says it.
      this.child.once("exit", (code, signal) => done(code ?? (signal === "SIGKILL" ? 137 : 143)))
    })
    this.exited.then(() => {
      for (const watcher of this.#watchers) watcher()
    })
  }

  /** Waits for a line that matches; fails with all that was printed when the process ends or time is up. */
  async printed(pattern: RegExp, seconds = 60): Promise<RegExpMatchArray> {
    const deadline = AbortSignal.timeout(seconds * 1_000)
    while (true) {
      const match = this.output.match(pattern)
      if (match !== null) return match
      if (this.child.exitCode !== null || this.child.signalCode !== null || deadline.aborted) {
        throw new Error(`never printed ${pattern}; it printed:\n${this.output}`)
      }
      await new Promise<void>((resolve) => {
        const watcher = () => {
          this.#watchers.delete(watcher)
          deadline.removeEventListener("abort", watcher)
          resolve()
        }
        this.#watchers.add(watcher)
        deadline.addEventListener("abort", watcher)
      })
    }
  }

  /** Ends it and waits until it has gone. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill(signal)
    return this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("SIGKILL")
  }
}

/** Ports that were free a moment ago. */
export const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer()
      return new Promise<typeof server>((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)))
    })
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Asks until the answer is the wished one, at most so long; the last answer is in the error. */
export const until = async <A>(
  ask: () => Promise<A>,
  good: (answer: A) => boolean,
  seconds = 60
): Promise<A> => {
  const deadline = performance.now() + seconds * 1_000
  let last: unknown
  while (performance.now() < deadline) {
    try {
      const answer = await ask()
      if (good(answer)) return answer
      last = answer
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(
    `not within ${seconds} s; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`
  )
}
