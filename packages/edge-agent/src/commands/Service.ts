import { Console, Effect, FileSystem, Path } from "effect"
import { Command, Flag } from "effect/cli"
import { AgentState } from "../AgentState.ts"
import type { Surroundings } from "../Surroundings.ts"
import * as Systemd from "../Systemd.ts"
import * as SystemdUnit from "../SystemdUnit.ts"
import * as Facts from "./Facts.ts"
import * as Services from "./Services.ts"
import * as StateFolder from "./StateFolder.ts"

/** `edge-relay service …`: the local services, and the agent as a service of systemd. */
export const make = (surroundings: Surroundings) =>
  Command.make("service").pipe(
    Command.withDescription("Local services, and the agent as a service of this machine"),
    Command.withSubcommands([
      {
        group: "Local services",
        commands: [Services.add(surroundings), Services.remove(surroundings), Services.list(surroundings)]
      },
      {
        group: "The agent under systemd",
        commands: [install(surroundings), uninstall(surroundings), logs(surroundings)]
      }
    ])
  )

const install = (surroundings: Surroundings) =>
  Command.make(
    "install",
    {
      state: StateFolder.flag(surroundings),
      dryRun: Flag.Boolean("dry-run").pipe(
        Flag.withDescription("Print the unit and write nothing"),
        Flag.withDefault(false)
      ),
      noStart: Flag.Boolean("no-start").pipe(
        Flag.withDescription("Write the unit, and neither enable nor start it"),
        Flag.withDefault(false)
      ),
      json: Facts.flag
    },
    Effect.fn(function* ({ dryRun, json, noStart, state: folder }) {
      const path = yield* Path.Path
      const unit = SystemdUnit.make({
        ...surroundings,
        state: path.resolve(folder),
        system: surroundings.isRoot
      })
      if (dryRun) return yield* Console.log(unit)
      yield* AgentState.use((state) => state.read).pipe(StateFolder.provide(folder))
      const fs = yield* FileSystem.FileSystem
      const file = yield* Systemd.unitFile(surroundings)
      yield* fs.makeDirectory(path.dirname(file), { recursive: true }).pipe(
        Effect.andThen(fs.writeFileString(file, unit)),
        Effect.mapError(
          ({ reason }) => new Systemd.SystemdFailed({ message: `cannot write ${file} (${reason._tag})` })
        )
      )
      const starts = !noStart && surroundings.isBooted
      if (starts) {
        yield* Systemd.systemctl(surroundings, "daemon-reload")
        yield* Systemd.systemctl(surroundings, "enable", Systemd.UNIT)
        // An older unit may be running.
        yield* Systemd.systemctl(surroundings, "restart", Systemd.UNIT)
      }
      const user = surroundings.isRoot ? "" : " --user"
      const lingers = `To start with the machine and not with your first login: loginctl enable-linger`
      yield* Facts.print(json, { file, isStarted: starts }, [
        `Wrote ${file}.`,
        starts ? "The agent is running." : `Start it: systemctl${user} enable --now edge-relay`,
        ...(surroundings.isRoot ? [] : [lingers])
      ])
    })
  ).pipe(
    Command.withDescription("Keep the agent running by systemd"),
    Command.withExamples([
      { command: "edge-relay service install --dry-run", description: "See the unit first" },
      {
        command: "sudo edge-relay service install --state /var/lib/edge-relay",
        description: "For the machine, under a user of its own"
      }
    ])
  )

const uninstall = (surroundings: Surroundings) =>
  Command.make(
    "uninstall",
    { json: Facts.flag },
    Effect.fn(function* ({ json }) {
      const fs = yield* FileSystem.FileSystem
      const file = yield* Systemd.unitFile(surroundings)
      const isThere = yield* Effect.orElseSucceed(fs.exists(file), () => false)
      if (isThere && surroundings.isBooted)
        yield* Systemd.systemctl(surroundings, "disable", "--now", Systemd.UNIT)
      yield* Effect.mapError(
        fs.remove(file, { force: true }),
        ({ reason }) => new Systemd.SystemdFailed({ message: `cannot remove ${file} (${reason._tag})` })
      )
      if (isThere && surroundings.isBooted) yield* Systemd.systemctl(surroundings, "daemon-reload")
      yield* Facts.print(json, { file, wasInstalled: isThere }, [
        isThere
          ? `Removed ${file}. The machine stays paired: edge-relay unpair ends that.`
          : `There is no ${file}.`
      ])
    })
  ).pipe(
    Command.withDescription("Stop the agent that systemd keeps running, and remove its unit"),
    Command.withExamples([
      { command: "sudo edge-relay service uninstall", description: "What root had installed" }
    ])
  )

const logs = (surroundings: Surroundings) =>
  Command.make(
    "logs",
    {
      follow: Flag.Boolean("follow").pipe(
        Flag.withAlias("f"),
        Flag.withDescription("Go on as new lines come"),
        Flag.withDefault(false)
      ),
      lines: Flag.Int("lines").pipe(
        Flag.withAlias("n"),
        Flag.withMetavar("NUMBER"),
        Flag.withDescription("How many of the last lines"),
        Flag.withDefault(100)
      )
    },
    ({ follow, lines }) =>
      Systemd.journalctl(
        surroundings,
        "--lines",
        String(lines),
        "--no-pager",
        ...(follow ? ["--follow"] : [])
      )
  ).pipe(
    Command.withDescription("Show what the agent under systemd has logged"),
    Command.withExamples([{ command: "edge-relay service logs --follow", description: "And what comes" }])
  )
