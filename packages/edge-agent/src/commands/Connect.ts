import { isFinished } from "@edge-relay/tunnel/Splice"
import { Effect, Schema } from "effect"
import { Command } from "effect/cli"
import type { Duplex } from "node:stream"
import * as CloudAccess from "../client/CloudAccess.ts"
import * as CloudEdges from "../client/CloudEdges.ts"
import * as PatientStream from "../client/PatientStream.ts"
import { edge, service } from "./Forward.ts"

export class BrokenOff extends Schema.TaggedError<BrokenOff>()("BrokenOff", {}) {
  override get message(): string {
    return "the stream was broken off"
  }
}

/** `edge-relay connect`: standard input and output are the stream, as `ProxyCommand` wants it. */
export const make = (environment: CloudAccess.CloudAccess["environment"]) =>
  Command.make(
    "connect",
    { ...CloudAccess.flags, edge, service },
    Effect.fn(function* ({ edge, service, ...flags }) {
      const access = yield* CloudAccess.resolve(flags, environment)
      const edgeId = yield* CloudEdges.find(access, edge)
      const stream = yield* PatientStream.open(access, { edgeId, service })
      yield* pipeStandard(stream)
    })
  ).pipe(
    Command.withDescription("Connect standard input and output to a service of an edge"),
    Command.withExamples([
      {
        command: 'ssh -o ProxyCommand="edge-relay connect press-4 ssh" pi@press-4',
        description: "ssh through the tunnel"
      }
    ])
  )

/** Until the service has no more to say: what is on its way to it then is of no use. */
const pipeStandard = (stream: Duplex): Effect.Effect<void, BrokenOff> =>
  Effect.callback((resume) => {
    const { stdin, stdout } = process
    stream.on("error", () => undefined)
    // Whoever reads us has gone.
    stdout.on("error", () => stream.destroy())
    stream.once("end", () => stdout.write("", () => resume(Effect.void)))
    stream.once("close", () => {
      if (!stream.readableEnded && !isFinished(stream)) resume(Effect.fail(new BrokenOff()))
    })
    stdin.pipe(stream)
    stream.pipe(stdout, { end: false })
    return Effect.sync(() => stream.destroy())
  })
