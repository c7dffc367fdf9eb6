import { Console, Effect, FileSystem, Option, Path } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as CloudAccess from "../client/CloudAccess.ts"
import * as CloudEdges from "../client/CloudEdges.ts"
import * as SshHosts from "../client/SshHosts.ts"

export interface Surroundings {
  readonly environment: CloudAccess.CloudAccess["environment"]
  /** How this program is started again. */
  readonly program: ReadonlyArray<string>
  /** Where what is ours is kept: known hosts, among the rest. */
  readonly folder: string
}

/** `edge-relay ssh-config`: lines for `~/.ssh/config`, by which `ssh NAME.edge` goes through the tunnel. */
export const make = (surroundings: Surroundings) =>
  Command.make(
    "ssh-config",
    {
      ...CloudAccess.flags,
      edges: Argument.String("EDGE").pipe(
        Argument.withDescription("Only these edges, by name or id; all where none is named"),
        Argument.atLeast(0)
      ),
      service: Flag.String("service").pipe(
        Flag.withDescription("The service that is an SSH server"),
        Flag.withDefault("ssh")
      ),
      user: Flag.String("user").pipe(Flag.withDescription("Who to sign in as on the edges"), Flag.optional)
    },
    Effect.fn(function* ({ edges: wanted, service, user, ...flags }) {
      const path = yield* Path.Path
      const access = yield* CloudAccess.resolve(flags, surroundings.environment)
      const all = yield* CloudEdges.list(access)
      const ids = yield* Effect.forEach(wanted, (edge) => CloudEdges.find(access, edge))
      const edges = wanted.length === 0 ? all : all.filter(({ id }) => ids.includes(id))
      const tokenFile = Option.map(flags.tokenFile, (file) => ["--token-file", path.resolve(file)])
      const ca = Option.map(flags.ca, (file) => ["--ca", path.resolve(file)])
      const options = [
        "--url",
        access.url.origin,
        ...Option.getOrElse(tokenFile, () => []),
        ...Option.getOrElse(ca, () => []),
        ...(flags.transport === "auto" ? [] : ["--transport", flags.transport])
      ]
      const folder = path.resolve(surroundings.folder)
      // ssh makes the file of known hosts, and no folder for it.
      const fs = yield* FileSystem.FileSystem
      yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
      yield* Console.log(
        SshHosts.format(edges, {
          service,
          user: Option.getOrUndefined(user),
          command: [...surroundings.program, "connect", ...options],
          knownHosts: path.join(folder, "known_hosts")
        })
      )
    })
  ).pipe(
    Command.withDescription("Print lines for ~/.ssh/config, by which ssh reaches edges"),
    Command.withExamples([
      {
        command: "edge-relay ssh-config > ~/.ssh/edges",
        description: "With 'Include edges' in ~/.ssh/config: ssh pi@press-4.edge"
      }
    ])
  )
