import { Config, Effect, Option, Result, Schema } from "effect"
import type { Parse } from "./EnvironmentValues.ts"

/**
 * How a server's `Config` reads its environment: every fault is found before any is reported, so that a new
 * installation is put right in one go. A variable that is empty counts as unset.
 */

/** What is wrong with one variable. The value is not in it: it could be a secret. */
export const Fault = Schema.Struct({
  variable: Schema.String,
  problem: Schema.String,
  example: Schema.String
})
export type Fault = typeof Fault.Type

/** The environment does not say what it must. Exit status 78 (`EX_CONFIG`, sysexits.h). */
export class BadConfiguration extends Schema.TaggedError<BadConfiguration>()("BadConfiguration", {
  faults: Schema.Array(Fault)
}) {
  override get message(): string {
    const lines = this.faults.map(
      ({ variable, problem, example }) => `  ${variable} ${problem}, e.g. ${variable}=${example}`
    )
    return `the configuration has ${lines.length === 1 ? "a fault" : `${lines.length} faults`}:\n${lines.join("\n")}`
  }
}

/** A variable's value, or its fault. */
export const variable = <A>(
  name: string,
  example: string,
  parse: Parse<A>
): Effect.Effect<Result.Result<A, Fault>> =>
  Effect.map(Effect.result(Config.option(Config.String(name))), (found) => {
    // Only a source that cannot be read fails here.
    const given = Result.isSuccess(found) ? Option.getOrUndefined(found.success) : undefined
    return Result.mapError(parse(given === "" ? undefined : given), (problem) => ({
      variable: name,
      problem,
      example
    }))
  })

type Variables = Readonly<Record<string, Effect.Effect<Result.Result<unknown, Fault>>>>

type Values<V extends Variables> = {
  readonly [Name in keyof V]: V[Name] extends Effect.Effect<Result.Result<infer A, Fault>> ? A : never
}

/** The values of all variables, or all faults; `contradictions` are what each variable alone cannot show. */
export const read = Effect.fnUntraced(function* <const V extends Variables>(
  variables: V,
  contradictions: (values: Partial<Values<V>>) => ReadonlyArray<Fault>
) {
  const faults: Array<Fault> = []
  const values: Record<string, unknown> = {}
  for (const [name, variable] of Object.entries(variables)) {
    const result = yield* variable
    if (Result.isFailure(result)) faults.push(result.failure)
    else values[name] = result.success
  }
  // Each value is what the parser of its own name gave; a loop over names cannot say so.
  faults.push(...contradictions(values as Partial<Values<V>>))
  if (faults.length > 0) return yield* new BadConfiguration({ faults })
  return values as Values<V>
})

/** A random key, as an example to copy would be copied: these show the command instead. */
export const keyExample = "$(openssl rand -base64 32)"
