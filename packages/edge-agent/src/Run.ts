import { resolveProxy } from "@edge-relay/tunnel/agent/OutboundProxy"
import type { Services } from "@edge-relay/tunnel/agent/LocalService"
import type { Ending } from "@edge-relay/tunnel/agent/Reconnect"
import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"
import { Effect, Fiber, Queue, Stream } from "effect"
import { arch, hostname, platform } from "node:os"
import { AgentState, type Credentials } from "./AgentState.ts"
import * as Authorities from "./Authorities.ts"
import * as ControlSocket from "./ControlSocket.ts"
import * as LocalTarget from "./LocalTarget.ts"
import * as NetworkProblem from "./NetworkProblem.ts"
import { watch } from "./WatchState.ts"

/** `edge-relay run`: keeps the tunnel until the token is revoked, or somebody stops it. */

export interface RunOptions {
  readonly version: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** How long what is under way may go on when it is stopped. */
  readonly graceSeconds: number
}

/** Follows the machine's state: services that change are offered at once, another edge's credentials are taken up. */
export const run = Effect.fn("Run.run")(function* (options: RunOptions) {
  const state = yield* AgentState
  let credentials = yield* state.read
  let settings = yield* settingsOf(credentials, options)
  const control = yield* ControlSocket.serve(state.folder, aboutOf(credentials, options))
  while (true) {
    credentials = yield* runAs(credentials, { ...options, ...settings, control })
    yield* Effect.logWarning(
      `the credentials were changed: this machine is edge ${credentials.edgeId} of ${credentials.cloudUrl} from now on`
    )
    settings = yield* settingsOf(credentials, options)
    yield* control.about(aboutOf(credentials, options))
  }
})

/** Until the credentials are another edge's, which are answered. */
const runAs = Effect.fnUntraced(function* (
  credentials: Credentials,
  options: RunOptions & Settings & { readonly control: ControlSocket.Control }
) {
  const { control, url } = options
  yield* Effect.logInfo(`edge ${credentials.edgeId} of ${credentials.cloudUrl}`)
  if (options.proxy !== undefined) yield* Effect.logInfo(`through the proxy ${new URL(options.proxy).origin}`)
  yield* logServices(credentials)
  const changes = yield* Queue.unbounded<Services>()
  const tunnel = yield* Effect.forkScoped(
    TunnelClient.run({
      url: credentials.tunnelUrl,
      token: credentials.token,
      services: servicesOf(credentials),
      changes: Stream.fromQueue(changes),
      hello: { agent: `edge-relay/${options.version}`, hostname: hostname(), os: platform(), arch: arch() },
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      environment: options.environment,
      drainMillis: options.graceSeconds * 1_000,
      onStatus: (status) => report(status, url, options)
    })
  )
  const next = yield* Effect.raceFirst(
    Fiber.join(tunnel),
    watch(credentials, (changed) =>
      Effect.gen(function* () {
        yield* Effect.logInfo("the services were changed")
        yield* logServices(changed)
        yield* control.about(aboutOf(changed, options))
        yield* Queue.offer(changes, servicesOf(changed))
      })
    )
  )
  // What is under way there may end there, while the new one connects.
  yield* Effect.forkScoped(Fiber.interrupt(tunnel))
  return next
})

const report = (
  status: TunnelClient.TunnelStatus,
  url: URL,
  { control, graceSeconds }: RunOptions & { readonly control: ControlSocket.Control }
): Effect.Effect<void> => {
  switch (status._tag) {
    case "dialing":
      return control.tell({ state: "dialing", detail: url.href })
    case "connected":
      return Effect.andThen(
        Effect.logInfo(`connected to ${url.href} (${status.protocol})`),
        control.tell({ state: "connected", detail: url.href })
      )
    case "waiting": {
      const why = describe(status.ending, url)
      const seconds = (status.millis / 1_000).toFixed(1)
      const say = isDisplaced(status.ending) ? Effect.logError : Effect.logWarning
      return Effect.andThen(
        say(`${why}; trying again in ${seconds} s`),
        control.tell({ state: "waiting", detail: why })
      )
    }
    case "draining": {
      const line = `waiting up to ${graceSeconds} s for ${status.streams} open streams`
      return Effect.andThen(
        Effect.logInfo(`stopping: ${line}; a second signal stops at once`),
        control.tell({ state: "draining", detail: line })
      )
    }
  }
}

interface Settings {
  readonly url: URL
  readonly ca: ReadonlyArray<string> | undefined
  readonly proxy: string | undefined
}

/** Checked before anything is dialled: what is wrong with them stays wrong. */
const settingsOf = Effect.fnUntraced(function* ({ caFile, tunnelUrl }: Credentials, options: RunOptions) {
  const url = new URL(tunnelUrl)
  const ca = caFile === undefined ? undefined : [yield* Authorities.read(caFile)]
  return { url, ca, proxy: yield* resolveProxy(url, options.environment) }
})

const aboutOf = (
  { cloudUrl, edgeId, services }: Credentials,
  { version }: RunOptions
): ControlSocket.About => ({ cloudUrl, edgeId, services, version, pid: process.pid })

const logServices = ({ services }: Credentials) =>
  Effect.forEach(
    Object.entries(services),
    ([name, target]) => Effect.logInfo(`service ${name} is ${target}`),
    { discard: true }
  )

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
