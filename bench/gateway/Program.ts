import { type ChildProcess, execFile, spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { createServer } from "node:net"
import { promisify } from "node:util"

/** A process under measurement: when it is ready, and what it has cost. */
export class Program {
  static readonly #running = new Set<Program>()
  readonly name: string
  readonly #child: ChildProcess
  #output = ""

  /** Starts it and waits until it has printed `ready`. */
  static async start(
    name: string,
    command: ReadonlyArray<string>,
    options: { readonly ready: string; readonly env?: Readonly<Record<string, string>> }
  ): Promise<Program> {
    const program = new Program(name, command, options.env ?? {})
    await program.#printed(options.ready)
    return program
  }

  private constructor(name: string, command: ReadonlyArray<string>, env: Readonly<Record<string, string>>) {
    const [file = "", ...args] = command
    this.name = name
    this.#child = spawn(file, args, {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"]
    })
    Program.#running.add(this)
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        // The beginning is what is waited for; the end says why it failed.
        this.#output = (this.#output + chunk.toString()).slice(-20_000)
      })
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get output(): string {
    return this.#output
  }

  /** User and system time so far, in seconds. */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8")
    // The name in parentheses may hold spaces; `utime` and `stime` are the 12th and 13th after it, in ticks of 10 ms.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) / 100
  }

  /** Resident memory, in MB. */
  memory(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8")
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1000
  }

  /** Whatever is left, also where a start has failed half way. */
  static async stopAll(): Promise<void> {
    for (const program of Program.#running) await program.stop()
  }

  /** Only a process that ends by itself writes its profile. */
  async stop(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    Program.#running.delete(this)
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = new Promise((resolve) => this.#child.once("exit", resolve))
    this.#child.kill(signal)
    await exited
  }

  async #printed(text: string): Promise<void> {
    const deadline = performance.now() + 60_000
    while (!this.#output.includes(text)) {
      if (this.#child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`${this.name} did not say ${JSON.stringify(text)}:\n${this.#output}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

/** Runs a command to its end and answers what it printed. */
export const run = async (file: string, args: ReadonlyArray<string>, cwd?: string): Promise<string> => {
  const { stdout, stderr } = await promisify(execFile)(file, [...args], { cwd, maxBuffer: 1 << 24 })
  return stdout + stderr
}

/** Whether a command is on this machine's path. */
export const isInstalled = (command: string): boolean =>
  (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(`${folder}/${command}`))

export const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
