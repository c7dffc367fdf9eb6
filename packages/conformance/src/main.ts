import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Option, Redacted, Runtime, Schema } from "effect"
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
  token: Flag.Redacted("token").pipe(
    Flag.withMetavar("erp_…"),
    Flag.withDescription(
      "An access token with the scope gateway, for an edge that is asked through the cloud (--url URL/api/edges/EDGE_ID/http); others may read a command line: rather --token-file"
    ),
    Flag.optional
  ),
  tokenFile: Flag.FileText("token-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("A file that holds such a token"),
    Flag.optional
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
  Effect.fn(function* ({ url, destructive, group, token, tokenFile }) {
    const given = Option.orElse(Option.map(token, Redacted.value), () => tokenFile)
    const headers = Option.match(given, {
      onNone: () => ({}),
      onSome: (text) => ({ authorization: `Bearer ${text.trim()}` })
    })
    const groups = Option.isSome(group) ? { groups: [group.value] } : {}
    const results = yield* checkConformance({ url, headers, destructive, ...groups }).pipe(
      Effect.catchTag("EdgeUnreachable", ({ message }) =>
        Effect.andThen(Console.error(message), Effect.fail(new DoesNotConform()))
      )
    )
    yield* Console.log(renderConformance(results))
    if (!conforms(results)) return yield* new DoesNotConform()
  })
).pipe(Command.withDescription("Checks an edge's local server against the edge API, and prints what differs"))

NodeRuntime.runMain(Command.run(conformance, { version: "0.1.0" }).pipe(Effect.provide(NodeServices.layer)))
