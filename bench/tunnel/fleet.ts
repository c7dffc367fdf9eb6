import { readFileSync } from "node:fs"
import type { Ending } from "@edge-relay/tunnel/agent/Reconnect"
import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"
import { Effect, Redacted, Semaphore } from "effect"
import type { FleetReport } from "./Fleets.ts"

/**
 * `fleet.ts URL FILE`: an agent for each token in the file, as `edge-relay run` is one: they dial, and dial again,
 * by the agents' own policy. Only their first connections are made a few at a time. Reports when asked over IPC.
 */

const [url = "", file = ""] = process.argv.slice(2)
const tokens: ReadonlyArray<string> = JSON.parse(readFileSync(file, "utf8"))

const FIRST_AT_ONCE = 32

/** When each agent's current tunnel was ready; 0 while it has none. */
const upSince = new Float64Array(tokens.length)
let endings: Record<string, number> = {}

const describe = (ending: Ending): string => {
  if (ending._tag === "refused") return `${ending.status} ${ending.code}`
  if (ending._tag === "closed") return `closed ${ending.code} ${ending.reason}`
  return ending._tag === "failed" ? ending.message : ending._tag
}

const first = Semaphore.makeUnsafe(FIRST_AT_ONCE)

const agent = (token: string, index: number) =>
  Effect.gen(function* () {
    yield* first.take(1)
    let isFirst = true
    return yield* TunnelClient.run({
      url,
      token: Redacted.make(token),
      services: new Map(),
      hello: { agent: "edge-relay/bench", hostname: `edge-${index}`, os: "linux", arch: "x64" },
      onStatus: (status) =>
        Effect.suspend(() => {
          upSince[index] = status._tag === "connected" ? Date.now() : 0
          if (status._tag === "waiting") {
            const text = describe(status.ending)
            endings[text] = (endings[text] ?? 0) + 1
          }
          if (!isFirst || status._tag === "dialing") return Effect.void
          isFirst = false
          return first.release(1)
        })
    })
  })

for (const [index, token] of tokens.entries()) Effect.runFork(Effect.orDie(agent(token, index)))

process.on("message", ({ id, question }: { readonly id: number; readonly question: "report" | "cpu" }) => {
  if (question === "cpu") {
    process.send?.({ id, answer: process.cpuUsage() })
    return
  }
  const answer: FleetReport = { upSince: Array.from(upSince).filter((at) => at > 0), endings }
  endings = {}
  process.send?.({ id, answer })
})
