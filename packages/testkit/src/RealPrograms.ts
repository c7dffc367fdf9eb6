import { type ChildProcess, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import type { BrowserContext, Page } from "playwright-core"
import { launch } from "./Chromium.ts"
import * as ConsolePage from "./ConsolePage.ts"
import { Program } from "./Program.ts"
import { type Addresses, addresses, agent, folder } from "./RelaySystem.ts"

/** A program that people run on an edge, as its makers ship it. */
export interface RealProgram {
  readonly name: string
  /** The command, by an absolute path; undefined where it is not installed: its test is skipped. */
  readonly command: string | undefined
  readonly args: (port: number) => ReadonlyArray<string>
  readonly env?: (port: number, home: string) => Record<string, string>
  /** Brings its folder into being, before it starts. */
  readonly prepare?: (home: string, port: number) => Promise<void>
  /** Uses what it is there for, on its first page. Called again after a reload. */
  readonly use: (page: Page, home: string) => Promise<void>
  /** A path inside of it, and what a browser that begins there sees. */
  readonly deep: { readonly path: string; readonly works: (page: Page) => Promise<void> }
}

/** Debian's, where there are several. */
export const debianPython = ["/usr/bin/python3"].find((path) => existsSync(path))

/** Runs a command of a program to its end, in its folder. */
export const run = async (
  command: string,
  args: ReadonlyArray<string>,
  cwd: string,
  env: Record<string, string> = {}
): Promise<void> => {
  const child = start(command, args, cwd, env)
  const code = await new Promise((resolve) => child.process.once("exit", resolve))
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} exited with ${code}:\n${child.output()}`)
}

const start = (command: string, args: ReadonlyArray<string>, cwd: string, env: Record<string, string>) => {
  const process_ = spawn(command, args, {
    cwd,
    env: { PATH: process.env.PATH ?? "", HOME: cwd, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own: what it starts ends with it.
    detached: true
  })
  let output = ""
  for (const stream of [process_.stdout, process_.stderr]) stream.on("data", (text) => (output += text))
  return { process: process_ as ChildProcess, output: () => output }
}

/** One system, one browser and one person who is signed in; programs come and go. */
export class ProgramsInBrowser implements AsyncDisposable {
  readonly at: Addresses
  readonly context: BrowserContext
  readonly console: Page
  readonly #stack: AsyncDisposableStack

  private constructor(at: Addresses, context: BrowserContext, console: Page, stack: AsyncDisposableStack) {
    this.at = at
    this.context = context
    this.console = console
    this.#stack = stack
  }

  static async start(): Promise<ProgramsInBrowser> {
    const stack = new AsyncDisposableStack()
    const home = stack.use(await folder())
    const at = await addresses()
    const system = stack.use(new Program("packages/devkit/src/start.ts", [], at.env, home.path))
    await system.printed(/Ctrl-C/, 60)
    const browser = await launch()
    stack.defer(() => browser.close())
    const context = await browser.newContext()
    context.setDefaultTimeout(60_000)
    const console = await context.newPage()
    await ConsolePage.signIn(console, at.api, "alice")
    return new ProgramsInBrowser(at, context, console, stack)
  }

  /** A browser of its own: no cookies yet. */
  async newContext(): Promise<BrowserContext> {
    const context = await this.context.browser()?.newContext()
    if (context === undefined) throw new Error("the browser has gone")
    context.setDefaultTimeout(60_000)
    return context
  }

  /** Starts a program behind an agent of its own, opens it from the console by a click, and leaves it as it was. */
  async with(program: RealProgram, port: number, body: (page: Page, home: string) => Promise<void>) {
    if (program.command === undefined) throw new Error(`${program.name} is not installed`)
    await using home = await folder()
    await using state = await folder()
    await program.prepare?.(home.path, port)
    const running = start(
      program.command,
      program.args(port),
      home.path,
      program.env?.(port, home.path) ?? {}
    )
    const gone = new Promise((resolve) => running.process.once("exit", resolve))
    try {
      const code = await this.#pairingCode(program.name)
      const pair = agent(["pair", code, "--url", this.at.api, "--to", `http://127.0.0.1:${port}`], state.path)
      if ((await pair.exited) !== 0) throw new Error(pair.output)
      await using _agent = agent(["run"], state.path)
      await listens(port, running)
      await this.console.goto(this.at.api)
      const link = ConsolePage.openLink(this.console, program.name)
      await link.waitFor()
      const [page] = await Promise.all([this.context.waitForEvent("page"), link.click()])
      await page.waitForURL(/\.edges\.localhost/)
      await body(page, home.path)
      await page.close()
    } catch (error) {
      throw new Error(`${program.name}: ${String(error)}\nIt printed:\n${running.output().slice(-2000)}`, {
        cause: error
      })
    } finally {
      if (running.process.pid !== undefined && running.process.exitCode === null) {
        process.kill(-running.process.pid, "SIGKILL")
      }
      await gone
    }
  }

  #pairingCode(name: string): Promise<string> {
    return this.console.evaluate(async (name) => {
      const answer = await fetch("/api/pairing/codes", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ name })
      })
      return String((await answer.json()).code)
    }, name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}

const listens = async (
  port: number,
  running: { readonly process: ChildProcess; readonly output: () => string }
) => {
  const deadline = performance.now() + 120_000
  while (performance.now() < deadline) {
    if (running.process.exitCode !== null) throw new Error("it ended at once")
    const answers = await fetch(`http://127.0.0.1:${port}/`, { redirect: "manual" }).then(
      () => true,
      () => false
    )
    if (answers) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error("it does not answer on its port")
}
