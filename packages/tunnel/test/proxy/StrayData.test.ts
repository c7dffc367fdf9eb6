import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { StrayData } from "../../src/proxy/StrayData.ts"

describe("StrayData", () => {
  it("Y52 a flood of frames for unknown streams is one line a minute, with what came since the last", () => {
    let now = 1_000
    const lines: Array<string> = []
    const logger = Logger.map(Logger.formatJson, (line) => void lines.push(line))
    const stray = new StrayData({
      now: () => now,
      run: (log) => Effect.runSync(Effect.provide(log, Logger.layer([logger])))
    })
    const edgeId = EdgeId.make("edge_00000000000000000000000001")
    for (let frame = 0; frame < 10_000; frame++) stray.add({ streamId: 77, bytes: 10, edgeId })
    assert.strictEqual(lines.length, 1)
    assert.deepInclude(JSON.parse(lines[0] ?? "").annotations, { frames: 1, bytes: 10, streamId: 77, edgeId })
    now += 59_000
    stray.add({ streamId: 79, bytes: 10 })
    assert.strictEqual(lines.length, 1)
    now += 1_000
    stray.add({ streamId: 81, bytes: 1 })
    assert.strictEqual(lines.length, 2)
    assert.deepInclude(JSON.parse(lines[1] ?? "").annotations, {
      frames: 10_001,
      bytes: 100_001,
      streamId: 81
    })
  })
})
