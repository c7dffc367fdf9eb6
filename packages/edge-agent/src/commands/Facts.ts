import { Console, type Effect } from "effect"
import { Flag } from "effect/cli"

/** What a command found out: lines for a person, or one JSON document for a program. */

export const flag = Flag.Boolean("json").pipe(
  Flag.withDescription("Print JSON, for a program"),
  Flag.withDefault(false)
)

export const print = (
  json: boolean,
  facts: Readonly<Record<string, unknown>>,
  lines: ReadonlyArray<string>
): Effect.Effect<void> => Console.log(json ? JSON.stringify(facts, null, 2) : lines.join("\n"))

/** Names and what belongs to them, in two columns. */
export const table = (rows: ReadonlyArray<readonly [name: string, text: string]>): ReadonlyArray<string> => {
  const width = Math.max(7, ...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => `  ${name.padEnd(width)} ${text}`)
}
