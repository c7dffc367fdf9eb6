import { Effect, Schema } from "effect"
import { Argument, Command } from "effect/cli"
import { AgentState, Credentials } from "../AgentState.ts"
import { NamedTarget } from "../LocalTarget.ts"
import type { Surroundings } from "../Surroundings.ts"
import * as Facts from "./Facts.ts"
import * as StateFolder from "./StateFolder.ts"

/** `edge-relay service add|remove|list`: the local services, which a running agent follows within a second. */

export class NoSuchService extends Schema.TaggedError<NoSuchService>()("NoSuchService", {
  name: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `no service is called ${JSON.stringify(this.name)}: there ${this.known.length === 0 ? "are none" : `is ${this.known.join(", ")}`}`
  }
}

export const add = (surroundings: Surroundings) =>
  Command.make(
    "add",
    {
      service: Argument.String("NAME=TARGET").pipe(
        Argument.withDescription("Such as ssh=tcp://127.0.0.1:22; one of that name is replaced"),
        Argument.withSchema(NamedTarget)
      ),
      json: Facts.flag,
      state: StateFolder.flag(surroundings)
    },
    ({ json, service, state }) =>
      change(json, (services) => Effect.succeed({ ...services, [service.name]: service.to })).pipe(
        StateFolder.provide(state)
      )
  ).pipe(
    Command.withDescription("Offer one more local service, or another target for one"),
    Command.withExamples([
      { command: "edge-relay service add ssh=tcp://127.0.0.1:22", description: "For ssh and scp" },
      { command: "edge-relay service add http=http://127.0.0.1:9000", description: "What a browser reaches" }
    ])
  )

export const remove = (surroundings: Surroundings) =>
  Command.make(
    "remove",
    {
      name: Argument.String("NAME").pipe(Argument.withDescription("As `service list` has it")),
      json: Facts.flag,
      state: StateFolder.flag(surroundings)
    },
    ({ json, name, state }) =>
      change(json, ({ [name]: removed, ...others }) =>
        removed === undefined
          ? Effect.fail(new NoSuchService({ name, known: Object.keys(others) }))
          : Effect.succeed(others)
      ).pipe(StateFolder.provide(state))
  ).pipe(
    Command.withDescription("Offer a local service no longer"),
    Command.withExamples([
      {
        command: "edge-relay service remove ssh",
        description: "Streams that are open may go on for the agent's grace"
      }
    ])
  )

export const list = (surroundings: Surroundings) =>
  Command.make("list", { json: Facts.flag, state: StateFolder.flag(surroundings) }, ({ json, state }) =>
    AgentState.use(({ read }) => read).pipe(
      Effect.flatMap(({ services }) => print(json, services)),
      StateFolder.provide(state)
    )
  ).pipe(
    Command.withDescription("List the local services"),
    Command.withExamples([{ command: "edge-relay service list --json", description: "For a script" }])
  )

type Targets = Readonly<Record<string, string>>

const change = Effect.fnUntraced(function* <E>(
  json: boolean,
  edit: (services: Targets) => Effect.Effect<Targets, E>
) {
  const state = yield* AgentState
  const credentials = yield* state.read
  const services = yield* edit(credentials.services)
  yield* state.write(new Credentials({ ...credentials, services }))
  yield* print(json, services)
})

const print = (json: boolean, services: Targets) =>
  Facts.print(json, { services }, Facts.table(Object.entries(services)))
