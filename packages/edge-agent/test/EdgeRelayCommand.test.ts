import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { folder } from "@edge-relay/testkit/RelaySystem"
import { Program, root } from "@edge-relay/testkit/Program"
import { Completions } from "effect/cli"
import { assert, describe, it } from "vitest"
import manifest from "../package.json" with { type: "json" }
import * as EdgeRelayCommand from "../src/EdgeRelayCommand.ts"
import * as ExitStatus from "../src/ExitStatus.ts"

const script = "packages/edge-agent/src/main.ts"

const command = EdgeRelayCommand.make({
  version: "1.2.3",
  environment: {},
  home: "/home/a",
  program: ["edge-relay"],
  isRoot: false,
  isBooted: false
})

type AnyCommand = Parameters<typeof Completions.fromCommand>[0]

/** Every command that does something, by its path. */
const leaves = (
  of: AnyCommand,
  path: ReadonlyArray<string> = []
): ReadonlyArray<readonly [string, AnyCommand]> => {
  const below = of.subcommands.flatMap(({ commands }) => commands)
  return below.length === 0
    ? [[path.join(" "), of]]
    : below.flatMap((one) => leaves(one, [...path, one.name]))
}

/** They print a stream, a log, a script, or nothing but errors. */
const withoutFacts = [
  "login",
  "logout",
  "run",
  "service logs",
  "forward",
  "connect",
  "ssh-config",
  "completions"
]

describe("edge-relay", () => {
  it.each(leaves(command))("%s has examples, and --json where it prints facts", (path, leaf) => {
    assert.isNotEmpty(leaf.examples)
    for (const { command: example } of leaf.examples) assert.include(example, `edge-relay ${path}`)
    const { flags } = Completions.fromCommand(leaf)
    assert.strictEqual(
      flags.some(({ name }) => name === "json"),
      !withoutFacts.includes(path)
    )
  })

  it("says its version, and completes itself in a shell", async () => {
    await using state = await folder()
    const version = new Program(script, ["version", "--json"], {}, state.path)
    assert.strictEqual(await version.exited, 0, version.output)
    assert.deepInclude(JSON.parse(version.output), { version: manifest.version, os: process.platform })
    const completions = new Program(script, ["completions", "bash"], {}, state.path)
    assert.strictEqual(await completions.exited, 0, completions.output)
    execFileSync("bash", ["-n"], { input: completions.output })
    assert.include(completions.output, "uninstall")
  }, 60_000)

  it("has its commands and exit statuses in the README", () => {
    const readme = readFileSync(`${root}README.md`, "utf8")
    for (const [path] of leaves(command)) assert.include(readme, path.split(" ").at(-1) ?? "")
    for (const [status] of ExitStatus.explained) assert.match(readme, new RegExp(`^\\| ${status} +\\|`, "m"))
  })
})
