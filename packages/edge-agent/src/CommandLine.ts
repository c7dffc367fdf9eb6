import { Console, Effect } from "effect"
import { type CliError, CliOutput } from "effect/cli"

/** A wrong command line is told in a line for each error, and where the help is: the help would bury them. */
export const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    const command = event.commandPath.join(" ")
    return Console.error([...event.errors.map(explain), `Help: ${command} --help`].join("\n"))
  }
}

const explain = (error: CliError.NonShowHelpErrors): string => {
  switch (error._tag) {
    case "InvalidValue": {
      const name = error.kind === "flag" ? `--${error.option}` : error.option
      const expected =
        error.expected
          .replace(SCHEMA, "")
          .replace(/, got "[^]*$/, "")
          .split("\n")[0] ?? ""
      return `${name} ${JSON.stringify(error.value)}: ${expected.charAt(0).toLowerCase()}${expected.slice(1)}`
    }
    case "UserError":
      return String(error.cause)
    default:
      return error.message
  }
}

/** What the library says of its own doing. */
const SCHEMA = /^Schema validation failed: /

/** Why a command failed. A wrong command line has been explained already. */
export const print = (error: { readonly _tag: string; readonly message: string }): Effect.Effect<void> =>
  error._tag === "ShowHelp" ? Effect.void : Console.error(error.message)
