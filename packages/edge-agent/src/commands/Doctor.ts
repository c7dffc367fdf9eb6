import { resolveProxy } from "@edge-relay/tunnel/agent/OutboundProxy"
import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { AgentState } from "../AgentState.ts"
import * as Authorities from "../Authorities.ts"
import { CloudUrl } from "../client/CloudAccess.ts"
import * as ControlSocket from "../ControlSocket.ts"
import { checkCloud, checkName } from "../doctor/CloudChecks.ts"
import { type Finding, ok, failed } from "../doctor/Finding.ts"
import { checkAgent, checkTargets, checkTunnel } from "../doctor/MachineChecks.ts"
import type { Surroundings } from "../Surroundings.ts"
import * as Facts from "./Facts.ts"
import * as StateFolder from "./StateFolder.ts"

export class NotWell extends Schema.TaggedError<NotWell>()("NotWell", {
  failed: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `not well: ${this.failed.join(", ")}`
  }
}

/** `edge-relay doctor`: each thing that a tunnel needs, by itself, with what to do about it. */
export const make = (surroundings: Surroundings) =>
  Command.make(
    "doctor",
    {
      url: Flag.String("url").pipe(
        Flag.withMetavar("URL"),
        Flag.withDescription("Check the way to this address, before the machine is paired"),
        Flag.withSchema(CloudUrl),
        Flag.optional
      ),
      ca: Flag.File("ca", { mustExist: true }).pipe(
        Flag.withMetavar("FILE"),
        Flag.withDescription("Certificate authorities to trust in place of the system's (PEM)"),
        Flag.optional
      ),
      json: Facts.flag,
      state: StateFolder.flag(surroundings)
    },
    Effect.fn(function* ({ ca, json, state: folder, url }) {
      const findings = yield* examine({ ...surroundings, ca, folder, url }).pipe(StateFolder.provide(folder))
      const sick = findings.filter(({ verdict }) => verdict === "failed")
      yield* Facts.print(json, { isWell: sick.length === 0, checks: findings }, findings.flatMap(lines))
      if (sick.length > 0) return yield* new NotWell({ failed: sick.map(({ check }) => check) })
    })
  ).pipe(
    Command.withDescription("Check all that this machine needs to be reached, and say what to do"),
    Command.withExamples([
      { command: "edge-relay doctor", description: "Of a machine that is paired" },
      { command: "edge-relay doctor --url https://relay.example.com", description: "Of one that is not yet" }
    ])
  )

const examine = Effect.fnUntraced(function* (
  options: Surroundings & {
    readonly url: Option.Option<URL>
    readonly ca: Option.Option<string>
    readonly folder: string
  }
) {
  const { environment, folder } = options
  const state = yield* AgentState
  const read = Option.isSome(options.url) ? Effect.option(state.read) : Effect.asSome(state.read)
  const credentials = Option.getOrUndefined(yield* read)
  const url = Option.getOrElse(options.url, () => new URL(credentials?.cloudUrl ?? ""))
  const caFile = Option.getOrUndefined(options.ca) ?? credentials?.caFile
  const ca = caFile === undefined ? undefined : [yield* Authorities.read(caFile)]
  const proxy = yield* Effect.result(resolveProxy(url, environment))
  if (proxy._tag === "Failure") {
    return [failed("proxy", proxy.failure.message, `correct or unset ${proxy.failure.variable}`)]
  }
  const through = proxy.success
  const findings: Array<Finding> = [
    yield* checkName(url, through),
    ok("proxy", through === undefined ? "none" : `through ${new URL(through).origin}`),
    ...(yield* checkCloud({ url, ca, environment, proxy: through }))
  ]
  if (credentials === undefined) return findings
  return [
    ...findings,
    ...(yield* checkTunnel(credentials, { ca, environment })),
    checkAgent(yield* ControlSocket.ask(folder), credentials),
    ...(yield* checkTargets(credentials))
  ]
})

const lines = ({ advice, check, found, verdict }: Finding): ReadonlyArray<string> => [
  `${verdict.padEnd(8)} ${check}: ${found}`,
  ...(advice === null ? [] : [`         → ${advice}`])
]
