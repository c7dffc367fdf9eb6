import { Effect, Path, Schema } from "effect"
import { spawn } from "node:child_process"
import type { Surroundings } from "./Surroundings.ts"

/** The agent's unit in the service manager: the machine's for root, the user's for everybody else. */

export const UNIT = "edge-relay.service"

export class SystemdFailed extends Schema.TaggedError<SystemdFailed>()("SystemdFailed", {
  message: Schema.String
}) {}

/** Where an administrator's, or a user's, own units are. */
export const unitFile = ({ home, isRoot }: Surroundings) =>
  Effect.map(Path.Path, (path) =>
    path.join(isRoot ? "/etc/systemd/system" : path.join(home, ".config/systemd/user"), UNIT)
  )

export const systemctl = (surroundings: Surroundings, ...args: ReadonlyArray<string>) =>
  run(surroundings, "systemctl", [...(surroundings.isRoot ? [] : ["--user"]), ...args])

export const journalctl = (surroundings: Surroundings, ...args: ReadonlyArray<string>) =>
  run(surroundings, "journalctl", [surroundings.isRoot ? "--unit" : "--user-unit", UNIT, ...args])

/** Its output is ours. */
const run = (
  { environment }: Surroundings,
  command: string,
  args: ReadonlyArray<string>
): Effect.Effect<void, SystemdFailed> =>
  Effect.callback((resume) => {
    const failed = (why: string) =>
      resume(Effect.fail(new SystemdFailed({ message: `${[command, ...args].join(" ")}: ${why}` })))
    const child = spawn(command, args, { stdio: "inherit", env: environment })
    child.once("error", ({ code, message }: NodeJS.ErrnoException) =>
      failed(code === "ENOENT" ? "there is no such program: is this machine run by systemd?" : message)
    )
    child.once("exit", (status, signal) =>
      status === 0 ? resume(Effect.void) : failed(`it ended with ${status ?? signal}`)
    )
    return Effect.sync(() => void child.kill())
  })
