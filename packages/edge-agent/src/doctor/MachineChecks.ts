import * as LocalConnection from "@edge-relay/tunnel/agent/LocalConnection"
import { probe } from "@edge-relay/tunnel/agent/TunnelProbe"
import { Effect } from "effect"
import type { Credentials } from "../AgentState.ts"
import type * as ControlSocket from "../ControlSocket.ts"
import * as LocalTarget from "../LocalTarget.ts"
import * as NetworkProblem from "../NetworkProblem.ts"
import type { CloudOptions } from "./CloudChecks.ts"
import { failed, type Finding, ok, skipped, warning } from "./Finding.ts"

/** This machine's own part: its token and tunnel, its agent, its local servers. */

/** A WebSocket to the tunnels, and whether the token opens one. */
export const checkTunnel = Effect.fnUntraced(function* (
  { token, tunnelUrl }: Credentials,
  { ca, environment }: Pick<CloudOptions, "ca" | "environment">
) {
  const url = new URL(tunnelUrl)
  const result = yield* probe({ url, token, ca, environment, timeoutMillis: 10_000 })
  switch (result._tag) {
    case "accepted":
      return [ok("WebSocket", `${url.href} takes tunnels`), ok("token", "good")]
    case "failed":
      return [
        failed(
          "WebSocket",
          NetworkProblem.explainKnown(url, result.error) ?? result.error.message,
          `${url.href} must be reachable from here, through every proxy on the way`
        ),
        skipped("token", "could not be tried")
      ]
    case "refused":
      return result.status === 401
        ? [
            ok("WebSocket", `${url.href} answers`),
            failed("token", "the cloud knows it no longer", "pair this machine anew: edge-relay pair --force")
          ]
        : [
            failed(
              "WebSocket",
              `${url.href} answered ${result.status} in place of a WebSocket`,
              "a proxy on the way may not pass WebSockets (Upgrade), or the cloud is not well"
            ),
            skipped("token", "could not be tried")
          ]
  }
})

export const checkAgent = (answer: ControlSocket.Answer, credentials: Credentials): Finding => {
  switch (answer._tag) {
    case "nobody":
      return warning("agent", "not running", "edge-relay run, or edge-relay service install")
    case "silent":
      return warning("agent", `running, but it cannot be asked (${answer.problem})`, "ask as its user")
    case "status": {
      const { detail, edgeId, state } = answer.status
      if (edgeId !== credentials.edgeId) {
        return failed("agent", `runs as ${edgeId}`, "this machine was paired anew: start the agent again")
      }
      return state === "connected"
        ? ok("agent", "connected")
        : warning("agent", `${state}${detail === null ? "" : `: ${detail}`}`, "see the checks above")
    }
  }
}

export const checkTargets = ({ services }: Credentials) =>
  Effect.forEach(
    Object.entries(services),
    ([name, text]) => {
      const check = `service ${name}`
      const target = LocalTarget.parse(text)
      const advice = "start that local server, or name another target: edge-relay service add"
      return target === undefined
        ? Effect.succeed(failed(check, `${text} is no target`, advice))
        : Effect.map(tryTarget(target), (error) =>
            error === undefined
              ? ok(check, `${text} takes connections`)
              : failed(check, `${text} takes no connection (${error})`, advice)
          )
    },
    { concurrency: "unbounded" }
  )

/** Why it takes no connection. */
const tryTarget = (target: LocalConnection.ServiceTarget): Effect.Effect<string | undefined> =>
  Effect.callback<string | undefined>((resume) => {
    let opened: LocalConnection.LocalConnection
    try {
      opened = LocalConnection.open(target)
    } catch (error) {
      return resume(Effect.succeed(error instanceof Error ? error.message : String(error)))
    }
    const { ready, socket } = opened
    socket.once(ready, () => resume(Effect.undefined))
    socket.once("error", ({ code, message }: NodeJS.ErrnoException) =>
      resume(Effect.succeed(code ?? message))
    )
    return Effect.sync(() => socket.destroy())
  }).pipe(
    Effect.timeoutOrElse({ duration: "5 seconds", orElse: () => Effect.succeed("no answer within 5 s") })
  )
