import { Clock, Console, Effect } from "effect"
import { Command } from "effect/cli"
import { AgentState } from "../AgentState.ts"
import * as ControlSocket from "../ControlSocket.ts"
import type { Surroundings } from "../Surroundings.ts"
import * as StateFolder from "./StateFolder.ts"

/** `edge-relay status` */
export const make = (surroundings: Surroundings) =>
  Command.make("status", { state: StateFolder.flag(surroundings) }, ({ state: folder }) =>
    Effect.gen(function* () {
      const state = yield* AgentState
      const credentials = yield* state.read
      const services = Object.entries(credentials.services).map(
        ([name, target]) => `  ${name.padEnd(8)}${target}`
      )
      const answer = yield* ControlSocket.ask(folder)
      const now = yield* Clock.currentTimeMillis
      yield* Console.log(
        [
          `edge     ${credentials.edgeId}`,
          `cloud    ${credentials.cloudUrl}`,
          `agent    ${describe(answer, now)}`,
          "services",
          ...services
        ].join("\n")
      )
    }).pipe(StateFolder.provide(folder))
  ).pipe(
    Command.withDescription("Say whether this machine is paired, and whether its agent is connected"),
    Command.withExamples([{ command: "edge-relay status", description: "How the agent is" }])
  )

const describe = (answer: ControlSocket.Answer, now: number): string => {
  switch (answer._tag) {
    case "nobody":
      return "not running: edge-relay run"
    case "silent":
      return `running, but does not say how it is (${answer.problem})`
    case "status": {
      const { detail, since, state } = answer.status
      return `${state} for ${Math.round((now - since) / 1_000)} s${detail === null ? "" : ` (${detail})`}`
    }
  }
}
