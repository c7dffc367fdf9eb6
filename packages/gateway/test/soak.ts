/**
 * Watches a camera through api, proxy and agent for a minute: every frame comes whole, in order and soon, and the
 * api's memory does not grow with them.
 *
 *     node packages/gateway/test/soak.ts [seconds, 60]
 */
import { faultsOf, watch } from "@edge-relay/testkit/gateway/MotionJpeg"

const camera = {
  seconds: Number(process.argv[2] ?? 60),
  framesPerSecond: 25,
  frameBytes: 50 * 1024,
  onSecond: (frames: number, memory: number) => {
    const second = Math.floor(frames / 25)
    if (second % 10 === 0) console.log(`${frames} frames, the api has ${mebibytes(memory)} MiB`)
  }
}

const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1)

const watched = await watch(camera)
const { medianMillis, p99Millis, longestMillis, memoryBefore, memoryMost } = watched
console.log(
  `${watched.frames} of ${watched.sent} frames of ${camera.frameBytes} bytes, each whole and in order; ` +
    `delay: median ${medianMillis.toFixed(1)} ms, p99 ${p99Millis.toFixed(1)} ms, longest ${longestMillis.toFixed(1)} ms; ` +
    `memory of the api: ${mebibytes(memoryBefore)} MiB at the beginning, ${mebibytes(memoryMost)} MiB at most`
)
const faults = faultsOf(watched, camera)
if (faults.length > 0) throw new Error(faults.join("; "))
