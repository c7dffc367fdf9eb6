import { Clock, Console, Effect, FileSystem, Layer, Option, Path, Redacted, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { hostname } from "node:os"
import { AgentState, Credentials, defaultFolder } from "./AgentState.ts"
import { CloudUrl } from "./client/CloudAccess.ts"
import * as Connect from "./commands/Connect.ts"
import * as Forward from "./commands/Forward.ts"
import * as SshConfig from "./commands/SshConfig.ts"
import { cloudClient } from "./CloudClient.ts"
import * as ControlSocket from "./ControlSocket.ts"
import { LocalTarget, NamedTarget } from "./LocalTarget.ts"
import { type Granted, Pairing } from "./Pairing.ts"
import { run } from "./Run.ts"
import * as SystemdUnit from "./SystemdUnit.ts"

/** The `edge-relay` command: what a person types on the machine that is to be reached. */

/** The process's surroundings, taken once in `main.ts`. */
export interface Surroundings {
  readonly version: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** How this program is started again by systemd: one executable, or Node and a script. */
  readonly program: ReadonlyArray<string>
  readonly isRoot: boolean
}

export class CannotInstall extends Schema.TaggedError<CannotInstall>()("CannotInstall", {
  message: Schema.String
}) {}

const isLoopback = ({ hostname }: URL): boolean =>
  hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.")

export const make = (surroundings: Surroundings) => {
  const stateFlag = Flag.Path("state").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDescription("Where this machine's credentials are kept"),
    Flag.withDefault(defaultFolder(surroundings.environment, surroundings.home))
  )
  const withState = <A, E, R>(folder: string, effect: Effect.Effect<A, E, R>) =>
    Effect.provide(effect, AgentState.layer(folder))

  const pair = Command.make(
    "pair",
    {
      code: Argument.String("CODE").pipe(
        Argument.withDescription("The code from the console; without one, this machine asks and you approve"),
        Argument.optional
      ),
      url: Flag.String("url").pipe(
        Flag.withMetavar("URL"),
        Flag.withDescription("Edge Relay's address, as you open it in a browser"),
        Flag.withSchema(CloudUrl)
      ),
      to: Flag.String("to").pipe(
        Flag.withMetavar("URL"),
        Flag.withDescription("This machine's local server (http://HOST:PORT or unix:/PATH)"),
        Flag.withSchema(LocalTarget),
        Flag.withDefault("http://127.0.0.1:8080")
      ),
      service: Flag.String("service").pipe(
        Flag.withMetavar("NAME=TARGET"),
        Flag.withDescription("One more local service, such as ssh=tcp://127.0.0.1:22; may be given again"),
        Flag.withSchema(NamedTarget),
        Flag.atLeast(0)
      ),
      name: Flag.String("name").pipe(
        Flag.withDescription("What the console calls this machine"),
        Flag.optional
      ),
      ca: Flag.File("ca", { mustExist: true }).pipe(
        Flag.withMetavar("FILE"),
        Flag.withDescription("Certificate authorities to trust in place of the system's (PEM)"),
        Flag.optional
      ),
      state: stateFlag
    },
    Effect.fn(function* ({ ca, code, name, service, state: folder, to, url }) {
      const request = {
        hostname: hostname(),
        ...Option.match(name, { onNone: () => ({}), onSome: (n) => ({ name: n }) })
      }
      const path = yield* Path.Path
      // The agent may be run from another folder.
      const caFile = Option.getOrUndefined(Option.map(ca, (file) => path.resolve(file)))
      if (url.protocol === "http:" && !isLoopback(url)) {
        yield* Effect.logWarning(
          `${url.origin} is not https: the session token goes over the network in the clear`
        )
      }
      const ask = Effect.gen(function* () {
        const pairing = yield* Pairing
        if (Option.isSome(code)) return yield* pairing.exchange({ ...request, code: code.value })
        const begun = yield* pairing.begin(request)
        yield* Console.log(
          `Open ${begun.verificationUriComplete}\nand approve the code ${begun.userCode}. Waiting for up to ${Math.round(begun.expiresIn / 60)} minutes …`
        )
        return yield* pairing.wait(begun)
      })
      // A code works once: it is not spent on what cannot be kept.
      yield* withState(
        folder,
        Effect.flatMap(AgentState, (state) => state.checkWritable)
      )
      const granted: Granted = yield* Effect.provide(
        ask,
        Pairing.layer(url).pipe(
          Layer.provide(cloudClient({ url, caFile, environment: surroundings.environment }))
        )
      )
      yield* withState(
        folder,
        Effect.gen(function* () {
          const state = yield* AgentState
          yield* state.write(
            new Credentials({
              cloudUrl: url.origin,
              edgeId: granted.edgeId,
              token: Redacted.make(granted.token),
              tunnelUrl: granted.tunnelUrl,
              services: { http: to, ...Object.fromEntries(service.map((one) => [one.name, one.to])) },
              ...(caFile === undefined ? {} : { caFile })
            })
          )
          yield* Console.log(`Paired as ${granted.edgeId}; its local server is ${to}. Next: edge-relay run`)
        })
      )
    })
  ).pipe(Command.withDescription("Pair this machine with your account"))

  const runCommand = Command.make("run", { state: stateFlag }, ({ state }) =>
    withState(state, Effect.scoped(run(surroundings)))
  ).pipe(Command.withDescription("Keep this machine reachable, until you stop it"))

  const status = Command.make("status", { state: stateFlag }, ({ state: folder }) =>
    withState(
      folder,
      Effect.gen(function* () {
        const state = yield* AgentState
        const credentials = yield* state.read
        const services = Object.entries(credentials.services).map(
          ([name, target]) => `  ${name.padEnd(8)}${target}`
        )
        const running = yield* ControlSocket.ask(folder)
        const now = yield* Clock.currentTimeMillis
        const line =
          running === undefined || Option.isNone(running)
            ? "not running: edge-relay run"
            : `${running.value.state} for ${Math.round((now - running.value.since) / 1_000)} s${running.value.detail === null ? "" : ` (${running.value.detail})`}`
        yield* Console.log(
          [
            `edge     ${credentials.edgeId}`,
            `cloud    ${credentials.cloudUrl}`,
            `agent    ${line}`,
            "services",
            ...services
          ].join("\n")
        )
      })
    )
  ).pipe(Command.withDescription("Say whether this machine is paired, and whether its agent is connected"))

  const install = Command.make(
    "install",
    {
      state: stateFlag,
      dryRun: Flag.Boolean("dry-run").pipe(
        Flag.withDescription("Print the unit and write nothing"),
        Flag.withDefault(false)
      )
    },
    Effect.fn(function* ({ dryRun, state: folder }) {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const unit = SystemdUnit.make({
        ...surroundings,
        state: path.resolve(folder),
        system: surroundings.isRoot
      })
      if (dryRun) return yield* Console.log(unit)
      yield* withState(
        folder,
        Effect.flatMap(AgentState, (state) => state.read)
      )
      const units = surroundings.isRoot
        ? "/etc/systemd/system"
        : path.join(surroundings.home, ".config/systemd/user")
      const file = path.join(units, "edge-relay.service")
      yield* fs.makeDirectory(units, { recursive: true }).pipe(
        Effect.andThen(fs.writeFileString(file, unit)),
        Effect.mapError(
          (error) => new CannotInstall({ message: `cannot write ${file} (${error.reason._tag})` })
        )
      )
      const user = surroundings.isRoot ? "" : " --user"
      yield* Console.log(`Wrote ${file}. Start it: systemctl${user} enable --now edge-relay`)
    })
  ).pipe(Command.withDescription("Write a systemd unit that keeps the agent running"))

  const service = Command.make("service").pipe(
    Command.withDescription("Run the agent as a service"),
    Command.withSubcommands([install])
  )

  return Command.make("edge-relay").pipe(
    Command.withDescription("Make this machine reachable through Edge Relay"),
    Command.withSubcommands([
      pair,
      runCommand,
      status,
      service,
      Forward.make(surroundings.environment),
      Connect.make(surroundings.environment),
      SshConfig.make({
        ...surroundings,
        folder: defaultFolder(surroundings.environment, surroundings.home)
      })
    ])
  )
}
