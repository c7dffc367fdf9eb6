import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Option, Runtime, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { checkConformance, conformanceGroups, conforms, renderConformance } from "./ConformanceSuite.ts"

/** What is printed already says all. */
class DoesNotConform extends Schema.TaggedError<DoesNotConform>()("DoesNotConform", {}) {
  override readonly [Runtime.errorReported] = false
}

const flags = {
  url: Flag.String("url").pipe(
    Flag.withSchema(
      Schema.String.check(Schema.isPattern(/^https?:\/\/[^/]/, { expected: "an http:// or https:// URL" }))
    ),
    Flag.withDescription("Where the edge's local server is, as http://127.0.0.1:3790")
  ),
  destructive: Flag.Boolean("destructive").pipe(
    Flag.withDescription("Also restart the edge, flash a device, and stop what runs"),
    Flag.withDefault(false)
  ),
  group: Flag.Literals("group", conformanceGroups).pipe(
    Flag.withDescription("Only this group of the contract"),
    Flag.optional
  )
}

const conformance = Command.make(
  "conformance",
  flags,
  Effect.fn(function* ({ url, destructive, group }) {
    const groups = Option.isSome(group) ? { groups: [group.value] } : {}
    const results = yield* checkConformance({ url, destructive, ...groups }).pipe(
      Effect.catchTag("EdgeUnreachable", ({ message }) =>
        Effect.andThen(Console.error(message), Effect.fail(new DoesNotConform()))
      )
    )
    yield* Console.log(renderConformance(results))
    if (!conforms(results)) return yield* new DoesNotConform()
  })
).pipe(Command.withDescription("Checks an edge's local server against the edge API, and prints what differs"))

NodeRuntime.runMain(Command.run(conformance, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer)))
