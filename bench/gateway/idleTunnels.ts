import { AgentTunnel } from "@edge-relay/tunnel/agent/AgentTunnel"
import { Redacted } from "effect"
import { readFileSync } from "node:fs"

/** `idleTunnels.ts URL FILE`: one tunnel for each token in the file, which then does nothing but answer beats. */

const [url = "", file = ""] = process.argv.slice(2)
const tokens: ReadonlyArray<string> = JSON.parse(readFileSync(file, "utf8"))

const tunnels: Array<AgentTunnel> = []

const open = (token: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const tunnel = new AgentTunnel({
      url: new URL(url),
      token: Redacted.make(token),
      hello: { agent: "idle/1" },
      services: new Map(),
      connectTimeoutMillis: 10_000,
      ca: undefined,
      httpAgent: undefined,
      lookup: undefined,
      handshakeMillis: 60_000,
      silenceMillis: 45_000,
      now: () => Date.now(),
      onConnected: () => resolve(),
      onEnding: (ending) => {
        process.stderr.write(`a tunnel ended: ${JSON.stringify(ending)}\n`)
        reject(new Error("a tunnel ended"))
      },
      onClosed: () => undefined
    })
    tunnels.push(tunnel)
  })

const inParallel = 32
for (let first = 0; first < tokens.length; first += inParallel) {
  await Promise.all(tokens.slice(first, first + inParallel).map(open))
}
process.stdout.write("all connected\n")
