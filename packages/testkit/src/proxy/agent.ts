import { Effect, Redacted } from "effect"
import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"

/** An agent as a process of its own, to be killed: `agent.ts URL TOKEN PORT`. */
const [url = "", token = "", port = ""] = process.argv.slice(2)

Effect.runFork(
  TunnelClient.run({
    url,
    token: Redacted.make(token),
    services: new Map([["http", { host: "127.0.0.1", port: Number(port) }]]),
    onStatus: ({ _tag }) => Effect.sync(() => console.log(_tag))
  })
)
