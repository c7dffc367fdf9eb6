import { ensureBuilt } from "@edge-relay/console/build/Build"
import { AgentState } from "@edge-relay/edge-agent/AgentState"
import * as ServerBackends from "@edge-relay/server-all/Backends"
import * as ServerConfig from "@edge-relay/server-all/Config"
import * as Server from "@edge-relay/server-all/Server"
import { tuneHeap } from "@edge-relay/server-kit/HeapTuning"
import { NodeCrypto, NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, ConfigProvider, Console, Effect, Exit, Fiber, Layer, Logger, References } from "effect"
import { type DevelopmentEnvironment, make } from "./development/Environment.ts"
import * as PairedEdge from "./development/PairedEdge.ts"
import { ProviderServer } from "./provider/ProviderServer.ts"
import { SimulatedEdge } from "./simulated-edge/SimulatedEdge.ts"
import * as Tracing from "./Tracing.ts"

/** `npm start`: the whole system in one process, on loopback, each part as it is in production. */
tuneHeap()

const server = ({ variables }: DevelopmentEnvironment) =>
  Server.layer.pipe(
    Layer.provide(ServerBackends.layer),
    Layer.provide(ServerConfig.layer),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(variables)))
  )

const welcome = ({ edgePort, folder, providerPort, publicUrl, variables }: DevelopmentEnvironment) => `
Edge Relay is running.

  Open    ${publicUrl.origin}/
          and sign in as alice (any password). Her simulated edge is online: open it.
          bob has a tenant of his own, and sees nothing of hers.

  Next    pair a second edge: press "Pair an edge", then in another terminal
          npm run agent -- pair CODE --url ${publicUrl.origin} --to http://127.0.0.1:PORT
          npm run agent -- run

  API     ${publicUrl.origin}/docs
  Parts   api ${publicUrl.port}, tunnel ${variables["TUNNEL_PORT"]}, internal ${variables["INTERNAL_PORT"]}, provider ${providerPort}, simulated edge ${edgePort}
  Data    ${folder}/ (remove it to begin anew)

  Ctrl-C stops everything.
`

const program = Effect.gen(function* () {
  const environment = yield* make(process.env)
  // Beside what comes first: it takes seconds where the console has changed.
  const builtConsole = yield* Effect.forkChild(Effect.promise(ensureBuilt))
  const { edgePort, folder, providerPort, publicUrl, variables } = environment
  yield* Layer.build(
    ProviderServer.layer({ publicUrl, port: providerPort, stateFile: `${folder}/provider.json` })
  )
  yield* Layer.build(
    SimulatedEdge.layer({ port: edgePort, folder: `${folder}/edge`, name: "Simulated edge" }).pipe(
      Layer.provide(Tracing.layer)
    )
  )
  yield* Fiber.join(builtConsole)
  yield* Layer.build(server(environment))
  yield* PairedEdge.connect({
    issuer: `http://localhost:${providerPort}`,
    databaseUrl: `sqlite:${folder}/edge-relay.db`,
    cloudUrl: publicUrl.origin,
    tunnelUrl: `ws://localhost:${variables["TUNNEL_PORT"]}`,
    edgePort
  }).pipe(Effect.provide(AgentState.layer(`${folder}/agent`)))
  yield* Console.log(welcome(environment))
  return yield* Effect.never
}).pipe(
  Effect.scoped,
  Effect.provide(
    Layer.mergeAll(
      NodeServices.layer,
      NodeCrypto.layer,
      Logger.layer([Logger.consolePretty()]),
      Layer.succeed(References.MinimumLogLevel, "Warn")
    )
  )
)

/** Which variable changes a port that is taken, where the part that found it does not know. */
const hints: Readonly<Record<string, string>> = {
  ProviderCannotListen: ": set PROVIDER_PORT to another one",
  SimulatedEdgeCannotListen: ": set EDGE_PORT to another one"
}

/** `EX_CONFIG` of sysexits.h. */
const badConfiguration = 78
const configurationErrors = new Set([
  "NotAPort",
  "BadConfiguration",
  "NotACollector",
  "CannotListen",
  "ProviderCannotListen",
  "SimulatedEdgeCannotListen"
])

NodeRuntime.runMain(
  Effect.tapError(program, (error) => Console.error(`${error.message}${hints[error._tag] ?? ""}`)),
  {
    disableErrorReporting: true,
    teardown: (exit, onExit) => {
      // Ctrl-C is how it is stopped, and no failure.
      if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return onExit(0)
      const error = Cause.squash(exit.cause)
      const tag = typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : ""
      if (tag === "") console.error(error)
      onExit(configurationErrors.has(tag) ? badConfiguration : 1)
    }
  }
)
