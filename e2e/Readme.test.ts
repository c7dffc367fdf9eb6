import { assert, describe, it } from "vitest"
import { readFileSync } from "node:fs"
import { root } from "@edge-relay/testkit/Program"

/**
 * Every command of the README, and what runs it: the script of `package.json` that it stands for, which the tests
 * of this folder start as a process, or CI.
 */
const readme = readFileSync(`${root}README.md`, "utf8")
const scripts: Record<string, string> = JSON.parse(readFileSync(`${root}package.json`, "utf8")).scripts
const ci = readFileSync(`${root}.ci/run`, "utf8")
const tests = ["Start", "OneServer", "TwoServers", "Console", "Agent", "Build"].map((name) =>
  readFileSync(`${root}e2e/${name}.test.ts`, "utf8")
)
const support = readFileSync(`${root}packages/testkit/src/RelaySystem.ts`, "utf8")

/** In blocks and in running text. */
const commands = [
  ...Array.from(readme.matchAll(/```sh\n([\s\S]*?)```/g), ([, block = ""]) =>
    block.trim().split("\n")
  ).flat(),
  ...Array.from(readme.matchAll(/`(npm [^`]*)`/g), ([, command = ""]) => command)
].flatMap((line) => line.split("&&").map((part) => part.trim()))

describe("the README", () => {
  it.each([...new Set(commands)].map((command) => [command]))("has %s, which is run", (command) => {
    const script = command.match(/^npm (?:run )?([a-z]+)/)?.[1]
    if (command === "npm ci" || script === "test" || script === "check") return assert.include(ci, command)
    if (command === "cp .env.example .env" || command === "set -a; . ./.env; set +a") {
      return assert.include(tests.join(), command.replace(" .env.example .env", " .env.example"))
    }
    const file = scripts[script ?? ""]?.replace(/^.*\bnode /, "")
    assert.isDefined(file, command)
    // What is measured is run by hand: it takes minutes, and a machine of its own.
    if (script === "bench") return
    assert.isTrue(
      [...tests, support].some((text) => text.includes(file ?? "")),
      `${file} is started by no test`
    )
  })
})
