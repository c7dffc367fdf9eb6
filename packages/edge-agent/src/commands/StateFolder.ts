import { Effect } from "effect"
import { Flag } from "effect/cli"
import { AgentState, defaultFolder } from "../AgentState.ts"
import type { Surroundings } from "../Surroundings.ts"

/** Of the commands that concern this machine's own agent: which state they speak of. */

export const flag = ({ environment, home }: Surroundings) =>
  Flag.Path("state").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDescription("Where this machine's credentials are kept"),
    Flag.withDefault(defaultFolder(environment, home))
  )

export const provide =
  (folder: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(effect, AgentState.layer(folder))
