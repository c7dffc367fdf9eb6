import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Layer, Runtime, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { SimulatedEdge } from "./SimulatedEdge.ts"
import * as Tracing from "../Tracing.ts"

class CannotStart extends Schema.TaggedError<CannotStart>()("CannotStart", { message: Schema.String }) {
  // EX_CONFIG of sysexits.h.
  override readonly [Runtime.errorExitCode] = 78
  override readonly [Runtime.errorReported] = false
}

const flags = {
  port: Flag.Int("port").pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65_535 }))),
    Flag.withDescription("Port to serve on, 3790 unless told otherwise; 0 takes a free one"),
    Flag.withDefault(3790)
  ),
  host: Flag.String("host").pipe(
    Flag.withDescription("Address to serve on, 127.0.0.1 unless told otherwise"),
    Flag.withDefault("127.0.0.1")
  ),
  folder: Flag.String("folder").pipe(
    Flag.withDescription("Where media and models are kept, .edge-relay/edge unless told otherwise"),
    Flag.withDefault(".edge-relay/edge")
  ),
  name: Flag.String("name").pipe(
    Flag.withDescription("What it calls itself"),
    Flag.withDefault("Simulated edge")
  )
}

const started = Effect.gen(function* () {
  const { url } = yield* SimulatedEdge
  yield* Console.log(`simulated edge: ${url}; Ctrl-C stops it`)
})

const edge = Command.make("edge", flags, (options) =>
  Layer.effectDiscard(started).pipe(
    Layer.provide(SimulatedEdge.layer(options)),
    Layer.provide(Tracing.layer),
    Layer.launch,
    Effect.catchTags({
      NotACollector: ({ message }) => new CannotStart({ message }),
      SimulatedEdgeCannotListen: ({ message }) =>
        new CannotStart({ message: `${message}; choose another: --port` }),
      PlatformError: ({ message }) => new CannotStart({ message: `${message}; choose another: --folder` })
    }),
    Effect.tapError(({ message }) => Console.error(message))
  )
).pipe(Command.withDescription("The local server of a simulated edge, alone"))

NodeRuntime.runMain(Command.run(edge, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer)), {
  // Ctrl-C is how it is stopped, and no failure.
  teardown: (exit, onExit) =>
    Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
      ? onExit(0)
      : Runtime.defaultTeardown(exit, onExit)
})
