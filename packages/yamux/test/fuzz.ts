/**
 * Feeds mutated frames to the yamux engine until it has had enough of them, or something is wrong.
 *
 *     node packages/yamux/test/fuzz.ts [frames, ten million] [seed]
 */
import { fuzz } from "./support/Fuzzer.ts"
import { memoryInUse } from "./support/Heap.ts"
import { Random } from "@edge-relay/testkit/Random"

const frames = Number(process.argv[2] ?? 10_000_000)
const seed = Number(process.argv[3] ?? 1)

await fuzz(new Random(seed), 10_000)
const before = await memoryInUse()
let reported = 0
const result = await fuzz(new Random(seed), frames, (sofar) => {
  if (sofar.frames - reported < 1_000_000) return
  reported = sofar.frames
  console.log(`${sofar.frames} frames, ${sofar.sessions} sessions`)
})
const grown = (await memoryInUse()) - before
console.log(
  `${result.frames} frames in ${result.sessions} sessions with seed ${seed}; memory grew by ${grown} bytes`
)
for (const [code, count] of result.ends) console.log(`  ${code}: ${count}`)
if (grown > 5_000_000) throw new Error(`memory grew by ${grown} bytes`)
