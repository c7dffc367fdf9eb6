import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import type { Blocked, Memory, Question } from "./probe.ts"

/** A process of ours that is asked over IPC: what `probe.ts` tells of it, or what it answers itself. Ended by its id. */
export class Child {
  readonly exited: Promise<void>
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: unknown) => void>()
  #output = ""
  #lastId = 0

  constructor(
    script: string,
    args: ReadonlyArray<string>,
    options: { readonly env?: Readonly<Record<string, string>>; readonly flags?: ReadonlyArray<string> } = {}
  ) {
    this.#child = spawn(process.execPath, [...(options.flags ?? []), script, ...args], {
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe", "ipc"]
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-20_000)
      })
    }
    this.#child.on("message", ({ id, answer }: { readonly id: number; readonly answer: unknown }) => {
      this.#waiting.get(id)?.(answer)
      this.#waiting.delete(id)
    })
    this.exited = new Promise((resolve) => this.#child.once("exit", () => resolve()))
  }

  /** The end of what it has printed. */
  get output(): string {
    return this.#output
  }

  memory(): Promise<Memory> {
    return this.ask("memory")
  }

  /** After two full collections. */
  collected(): Promise<Memory> {
    return this.ask("collect")
  }

  /** Since it was last asked. */
  blocked(): Promise<Blocked> {
    return this.ask("blocked")
  }

  /** Processor time since its start, in milliseconds. */
  async cpuMillis(): Promise<number> {
    const { user, system } = await this.ask<NodeJS.CpuUsage>("cpu")
    return (user + system) / 1000
  }

  /** `A` is what the one at the other end answers to this question: both ends are in this folder. */
  ask<A>(question: Question | "counts" | "go" | "report" | "cut", seconds = 60): Promise<A> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer within ${seconds} s:\n${this.#output}`)),
        seconds * 1000
      )
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer)
        // See above.
        resolve(answer as A)
      })
      this.#child.send({ id, question }, (error) => {
        if (error !== null) reject(error)
      })
    })
  }

  async printed(pattern: RegExp, seconds = 60): Promise<RegExpMatchArray> {
    const deadline = performance.now() + seconds * 1000
    while (performance.now() < deadline && this.#child.exitCode === null) {
      const match = this.#output.match(pattern)
      if (match !== null) return match
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    throw new Error(`never printed ${pattern}:\n${this.#output}`)
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL")
    await this.exited
  }
}

/** Of the checkout. */
export const packages = join(import.meta.dirname, "../../packages")
