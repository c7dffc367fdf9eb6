import { Command, type Completions } from "effect/cli"
import { defaultFolder } from "./AgentState.ts"
import * as CompletionScript from "./commands/CompletionScript.ts"
import * as Connect from "./commands/Connect.ts"
import * as Doctor from "./commands/Doctor.ts"
import * as Forward from "./commands/Forward.ts"
import * as Login from "./commands/Login.ts"
import * as Pair from "./commands/Pair.ts"
import * as RunAgent from "./commands/RunAgent.ts"
import * as Service from "./commands/Service.ts"
import * as SshConfig from "./commands/SshConfig.ts"
import * as Status from "./commands/Status.ts"
import * as Unpair from "./commands/Unpair.ts"
import * as Version from "./commands/Version.ts"
import * as ExitStatus from "./ExitStatus.ts"
import type { Surroundings } from "./Surroundings.ts"

const exitStatuses = ExitStatus.explained.map(([status, meaning]) => `  ${status}: ${meaning}`).join("\n")

/** The `edge-relay` command: what a person types on the machine that is to be reached, and on their own. */
export const make = (surroundings: Surroundings) => {
  // Completions are of the whole, of which their own command is a part.
  let completed: Parameters<typeof Completions.fromCommand>[0]
  const edgeRelay = Command.make("edge-relay").pipe(
    Command.withDescription(
      `Make this machine reachable through Edge Relay\n\nExit statuses:\n${exitStatuses}`
    ),
    Command.withShortDescription("Make this machine reachable through Edge Relay"),
    Command.withExamples([
      { command: "edge-relay pair --url https://relay.example.com", description: "Show a code to approve" },
      { command: "sudo edge-relay service install", description: "Keep this machine reachable" },
      { command: "edge-relay doctor", description: "Find out why it is not" }
    ]),
    Command.withSubcommands([
      {
        group: "This machine",
        commands: [
          Pair.make(surroundings),
          RunAgent.make(surroundings),
          Status.make(surroundings),
          Doctor.make(surroundings),
          Service.make(surroundings),
          Unpair.make(surroundings)
        ]
      },
      {
        group: "Other machines",
        commands: [
          Login.make(surroundings),
          Login.makeLogout(surroundings),
          Forward.make(surroundings.environment),
          Connect.make(surroundings.environment),
          SshConfig.make({
            ...surroundings,
            folder: defaultFolder(surroundings.environment, surroundings.home)
          })
        ]
      },
      {
        group: "This program",
        commands: [Version.make(surroundings), CompletionScript.make(() => completed)]
      }
    ])
  )
  completed = edgeRelay
  return edgeRelay
}
