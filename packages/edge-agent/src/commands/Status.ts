import { Clock, Effect, Option } from "effect"
import { Command } from "effect/cli"
import { AgentState } from "../AgentState.ts"
import * as ControlSocket from "../ControlSocket.ts"
import type { Surroundings } from "../Surroundings.ts"
import * as Facts from "./Facts.ts"
import * as StateFolder from "./StateFolder.ts"

/** `edge-relay status`: the agent that runs, or where none does, the machine as it is paired. */
export const make = (surroundings: Surroundings) =>
  Command.make(
    "status",
    { json: Facts.flag, state: StateFolder.flag(surroundings) },
    ({ json, state: folder }) =>
      Effect.gen(function* () {
        const state = yield* AgentState
        const answer = yield* ControlSocket.ask(folder)
        const running = answer._tag === "status" ? answer.status : undefined
        // A running agent tells enough, were its credentials gone or damaged by now.
        const read = running === undefined ? Effect.asSome(state.read) : Effect.option(state.read)
        const paired = Option.getOrUndefined(yield* read)
        const machine = running ?? paired
        if (machine === undefined) return
        const { cloudUrl, edgeId, services } = machine
        const now = yield* Clock.currentTimeMillis
        const facts = {
          edgeId,
          cloudUrl,
          services,
          /** Who this machine is from the agent's next start; null where it is not paired any more. */
          pairedAs: paired?.edgeId ?? null,
          agent:
            running === undefined
              ? null
              : {
                  state: running.state,
                  since: new Date(running.since).toISOString(),
                  detail: running.detail,
                  version: running.version,
                  pid: running.pid
                }
        }
        yield* Facts.print(json, facts, [
          `edge     ${edgeId}`,
          `cloud    ${cloudUrl}`,
          `agent    ${describe(answer, now)}`,
          ...(paired?.edgeId === edgeId
            ? []
            : [
                paired === undefined
                  ? "         this machine is not paired any more: the agent is about to stop"
                  : `         this machine is paired as ${paired.edgeId} by now: the agent is about to change`
              ]),
          "services",
          ...Facts.table(Object.entries(services))
        ])
      }).pipe(StateFolder.provide(folder))
  ).pipe(
    Command.withDescription("Say whether this machine is paired, and whether its agent is connected"),
    Command.withExamples([
      { command: "edge-relay status", description: "How the agent is" },
      { command: "edge-relay status --json", description: "The same, for a script" }
    ])
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
