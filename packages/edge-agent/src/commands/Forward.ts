import { Console, Effect, Schema, SchemaGetter } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as CloudAccess from "../client/CloudAccess.ts"
import * as CloudEdges from "../client/CloudEdges.ts"
import * as Forwarder from "../client/Forwarder.ts"

/** `127.0.0.1:2222`, `[::1]:2222` or `2222`, which is on loopback. */
const ListenAddress = Schema.String.check(
  Schema.isPattern(/^(?:(?:\[[\da-fA-F:]+\]|[\w.-]+):)?\d{1,5}$/)
).pipe(
  Schema.decodeTo(Schema.Struct({ host: Schema.String, port: Schema.Int.check(Schema.isLessThan(65_536)) }), {
    decode: SchemaGetter.transform((text) => {
      const colon = text.lastIndexOf(":")
      const host = colon === -1 ? "127.0.0.1" : text.slice(0, colon).replace(/^\[|\]$/g, "")
      return { host, port: Number(text.slice(colon + 1)) }
    }),
    encode: SchemaGetter.transform(({ host, port }) => `${host}:${port}`)
  })
)

export const edge = Argument.String("EDGE").pipe(Argument.withDescription("The edge's name or id"))
export const service = Argument.String("SERVICE").pipe(
  Argument.withDescription("The service in its tunnel: ssh, postgres")
)

/** `edge-relay forward`: a port of this machine that leads to a service of an edge. */
export const make = (environment: CloudAccess.CloudAccess["environment"]) =>
  Command.make(
    "forward",
    {
      ...CloudAccess.flags,
      edge,
      service,
      listen: Flag.String("listen").pipe(
        Flag.withMetavar("HOST:PORT"),
        Flag.withDescription("Where to listen; a free port of 127.0.0.1 where that is left out"),
        Flag.withSchema(ListenAddress),
        Flag.withDefault({ host: "127.0.0.1", port: 0 })
      )
    },
    Effect.fn(function* ({ edge, listen, service, ...flags }) {
      const access = yield* CloudAccess.resolve(flags, environment)
      const edgeId = yield* CloudEdges.find(access, edge)
      const port = yield* Forwarder.listen(access, { edgeId, service }, listen)
      yield* Console.log(`${listen.host}:${port} leads to ${service} of ${edge}. Ctrl-C ends it.`)
      return yield* Effect.never
    }, Effect.scoped)
  ).pipe(
    Command.withDescription("Let a port of this machine lead to a service of an edge"),
    Command.withExamples([
      {
        command: "edge-relay forward press-4 postgres --listen 127.0.0.1:5433",
        description: "Then: psql -h 127.0.0.1 -p 5433"
      }
    ])
  )
