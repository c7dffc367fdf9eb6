import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
// `gc` is V8's, and only a context made after the flag has it.
const collect = runInNewContext("gc") as () => void

/** Bytes in use, buffers included, after everything that can go has gone. */
export const memoryInUse = async (): Promise<number> => {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}
