import { defineConfig } from "vitest/config"
import type { Reporter, TestModule } from "vitest/node"

/** Ends the run with one plain line of counts, and names each test that was skipped: CI reads both. */
const counts: Reporter = {
  onTestRunEnd(modules: ReadonlyArray<TestModule>) {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const of = (state: string) => tests.filter((test) => test.result().state === state)
    const skipped = of("skipped")
    for (const test of skipped) console.log(`skipped: ${test.module.relativeModuleId} > ${test.fullName}`)
    const broken = modules.filter((module) => module.state() === "failed" && module.errors().length > 0)
    console.log(
      `${of("passed").length} passed, ${of("failed").length + broken.length} failed, ${skipped.length} skipped`
    )
  }
}

export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.test.ts", "e2e/**/*.test.ts"],
    reporters: ["default", counts],
    globalSetup: "packages/testkit/src/BuiltConsole.ts",
    pool: "forks",
    // Two cores: more workers than that only make the real processes that tests start wait for each other.
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000
  }
})
