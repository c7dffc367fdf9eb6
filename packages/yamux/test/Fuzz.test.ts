import { assert, describe, it } from "@effect/vitest"
import { fuzz } from "./support/Fuzzer.ts"
import { memoryInUse } from "./support/Heap.ts"
import { Random } from "@edge-relay/testkit/Random"

describe("yamux under fuzz", () => {
  it(
    "Y98 200,000 mutated frames: always a clean state or a clean end, in bounded memory",
    { timeout: 60_000 },
    async () => {
      await fuzz(new Random(1), 5_000)
      const before = await memoryInUse()
      const result = await fuzz(new Random(98), 200_000)
      assert.isBelow((await memoryInUse()) - before, 3_000_000)
      assert.isAtLeast(result.frames, 200_000)
      for (const code of ["protocol_error", "transport_closed", "unexpected_end"]) {
        assert.isAbove(result.ends.get(code) ?? 0, 0, code)
      }
    }
  )
})
