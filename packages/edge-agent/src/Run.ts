import type { Services } from "@edge-relay/tunnel/agent/LocalService"
import type { Ending } from "@edge-relay/tunnel/agent/Reconnect"
import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"
import { resolveProxy } from "@edge-relay/tunnel/agent/OutboundProxy"
import { Effect } from "effect"
import { arch, hostname, platform } from "node:os"
import { AgentState, type Credentials } from "./AgentState.ts"
import * as Authorities from "./Authorities.ts"
import * as ControlSocket from "./ControlSocket.ts"
import * as LocalTarget from "./LocalTarget.ts"
import * as NetworkProblem from "./NetworkProblem.ts"

/** `edge-relay run`: keeps the tunnel until the token is revoked, or somebody stops it. */
export const run = Effect.fn("Run.run")(function* (options: {
  readonly version: string
  readonly environment: Readonly<Record<string, string | undefined>>
}) {
  const state = yield* AgentState
  const credentials = yield* state.read
  const url = new URL(credentials.tunnelUrl)
  const ca = credentials.caFile === undefined ? undefined : [yield* Authorities.read(credentials.caFile)]
  const proxy = yield* resolveProxy(url, options.environment)
  const tell = yield* ControlSocket.serve(state.folder)
  const services = servicesOf(credentials)
  yield* Effect.logInfo(`edge ${credentials.edgeId} of ${credentials.cloudUrl}`)
  for (const [name, target] of Object.entries(credentials.services)) {
    yield* Effect.logInfo(`service ${name} is ${target}`)
  }
  if (proxy !== undefined) yield* Effect.logInfo(`through the proxy ${new URL(proxy).origin}`)
  return yield* TunnelClient.run({
    url: credentials.tunnelUrl,
    token: credentials.token,
    services,
    hello: { agent: `edge-relay/${options.version}`, hostname: hostname(), os: platform(), arch: arch() },
    ...(ca === undefined ? {} : { ca }),
    environment: options.environment,
    onStatus: (status) => {
      switch (status._tag) {
        case "dialing":
          return tell({ state: "dialing", detail: credentials.tunnelUrl })
        case "connected":
          return Effect.andThen(
            Effect.logInfo(`connected to ${credentials.tunnelUrl} (${status.protocol})`),
            tell({ state: "connected", detail: credentials.tunnelUrl })
          )
        case "waiting": {
          const why = describe(status.ending, url)
          const seconds = (status.millis / 1_000).toFixed(1)
          const say = isDisplaced(status.ending) ? Effect.logError : Effect.logWarning
          return Effect.andThen(
            say(`${why}; trying again in ${seconds} s`),
            tell({ state: "waiting", detail: why })
          )
        }
      }
    }
  })
})

const servicesOf = (credentials: Credentials): Services =>
  new Map(
    Object.entries(credentials.services).flatMap(([name, text]) => {
      const target = LocalTarget.parse(text)
      return target === undefined ? [] : [[name, target] as const]
    })
  )

const isDisplaced = (ending: Ending): boolean => ending._tag === "closed" && ending.code === 4001

const describe = (ending: Ending, url: URL): string => {
  switch (ending._tag) {
    case "closed":
      return isDisplaced(ending)
        ? "another machine took over with this machine's token: two machines hold one token, remove one and pair it anew"
        : `the tunnel was closed (${ending.code}${ending.reason === "" ? "" : ` ${ending.reason}`})`
    case "refused":
      return `the cloud refused the tunnel (${ending.status}${ending.code === undefined ? "" : ` ${ending.code}`})`
    case "failed":
      return `cannot connect: ${NetworkProblem.explainKnown(url, ending.error) ?? ending.message}`
    case "draining":
      return "the cloud asks for a new connection"
  }
}
