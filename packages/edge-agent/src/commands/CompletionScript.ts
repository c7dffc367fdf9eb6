import { Console } from "effect"
import { Argument, Command, Completions } from "effect/cli"

/** `edge-relay completions SHELL` */
export const make = (edgeRelay: () => Parameters<typeof Completions.fromCommand>[0]) =>
  Command.make(
    "completions",
    {
      shell: Argument.Literals("SHELL", ["bash", "zsh", "fish"]).pipe(
        Argument.withDescription("For which shell")
      )
    },
    ({ shell }) =>
      Console.log(Completions.generate("edge-relay", shell, Completions.fromCommand(edgeRelay())))
  ).pipe(
    Command.withDescription("Print a script by which the shell completes our commands"),
    Command.withExamples([
      { command: 'eval "$(edge-relay completions bash)"', description: "In ~/.bashrc" },
      {
        command: "edge-relay completions fish > ~/.config/fish/completions/edge-relay.fish",
        description: "For fish"
      }
    ])
  )
