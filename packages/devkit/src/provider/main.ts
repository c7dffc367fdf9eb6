import { NodeRuntime } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Layer, Runtime } from "effect"
import { BadConfiguration, readConfig, usage } from "./Config.ts"
import { ProviderServer } from "./ProviderServer.ts"

const started = (publicUrl: URL) =>
  Effect.gen(function* () {
    const { issuer } = yield* ProviderServer
    yield* Console.log(
      `identity provider: ${issuer} (alice or bob, any password) for ${publicUrl.origin}; Ctrl-C stops it`
    )
  })

const main = Effect.gen(function* () {
  const config = yield* readConfig(process.argv.slice(2))
  if (config === undefined) return yield* Console.log(usage)
  const server = ProviderServer.layer(config)
  return yield* Layer.launch(Layer.effectDiscard(started(config.publicUrl)).pipe(Layer.provide(server)))
}).pipe(
  Effect.catchTag("ProviderCannotListen", ({ message, port }) => {
    const fault = `${message}; another port: --port or PROVIDER_PORT`
    return new BadConfiguration({ faults: [port === 0 ? message : fault] })
  }),
  Effect.tapError(({ message }) => Console.error(message))
)

NodeRuntime.runMain(main, {
  // Ctrl-C is how it is stopped, and no failure.
  teardown: (exit, onExit) =>
    Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
      ? onExit(0)
      : Runtime.defaultTeardown(exit, onExit)
})
