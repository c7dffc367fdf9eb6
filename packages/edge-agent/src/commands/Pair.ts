import { Console, Effect, Layer, Option, Path, Redacted, Schema } from "effect"
import { Argument, Command, Flag, Prompt } from "effect/cli"
import { hostname } from "node:os"
import { AgentState, Credentials } from "../AgentState.ts"
import { CloudUrl } from "../client/CloudAccess.ts"
import { cloudClient } from "../CloudClient.ts"
import * as ControlSocket from "../ControlSocket.ts"
import { LocalTarget, NamedTarget } from "../LocalTarget.ts"
import { type Granted, Pairing } from "../Pairing.ts"
import type { Surroundings } from "../Surroundings.ts"
import * as Facts from "./Facts.ts"
import * as StateFolder from "./StateFolder.ts"

/** `edge-relay pair`: asks the cloud for credentials, with a code or a person's approval, and keeps them. */
export const make = (surroundings: Surroundings) =>
  Command.make(
    "pair",
    { ...flags, state: StateFolder.flag(surroundings) },
    Effect.fn(function* ({ ca, code, force, json, name, service, state: folder, to, url }) {
      const request = {
        hostname: hostname(),
        ...Option.match(name, { onNone: () => ({}), onSome: (n) => ({ name: n }) })
      }
      const path = yield* Path.Path
      // The agent may be run from another folder.
      const caFile = Option.getOrUndefined(Option.map(ca, (file) => path.resolve(file)))
      if (url.protocol === "http:" && !isLoopback(url)) {
        yield* Effect.logWarning(
          `${url.origin} is not https: the session token goes over the network in the clear`
        )
      }
      const ask = Effect.gen(function* () {
        const pairing = yield* Pairing
        if (Option.isSome(code)) return yield* pairing.exchange({ ...request, code: code.value })
        const begun = yield* pairing.begin(request)
        yield* (json ? Console.error : Console.log)(
          `Open ${begun.verificationUriComplete}\nand approve the code ${begun.userCode}. Waiting for up to ${Math.round(begun.expiresIn / 60)} minutes …`
        )
        return yield* pairing.wait(begun)
      })
      yield* Effect.gen(function* () {
        const state = yield* AgentState
        // A code works once: it is not spent on what cannot be kept.
        yield* state.checkWritable
        if (!force) yield* mayReplace
        const granted: Granted = yield* Effect.provide(
          ask,
          Pairing.layer(url).pipe(
            Layer.provide(cloudClient({ url, caFile, environment: surroundings.environment }))
          )
        )
        yield* state.write(
          new Credentials({
            cloudUrl: url.origin,
            edgeId: granted.edgeId,
            token: Redacted.make(granted.token),
            tunnelUrl: granted.tunnelUrl,
            services: { http: to, ...Object.fromEntries(service.map((one) => [one.name, one.to])) },
            ...(caFile === undefined ? {} : { caFile })
          })
        )
        const facts = { edgeId: granted.edgeId, cloudUrl: url.origin, tunnelUrl: granted.tunnelUrl }
        const isRunning = (yield* ControlSocket.ask(folder))._tag !== "nobody"
        const next = isRunning ? "The agent that is running takes it up." : "Next: edge-relay run"
        yield* Facts.print(json, facts, [`Paired as ${granted.edgeId}; its local server is ${to}. ${next}`])
      }).pipe(StateFolder.provide(folder))
    })
  ).pipe(
    Command.withDescription("Pair this machine with your account"),
    Command.withExamples([
      {
        command: "edge-relay pair CODE --url https://relay.example.com --to http://127.0.0.1:8080",
        description: "With a code from the console"
      },
      {
        command: "edge-relay pair --url https://relay.example.com --service ssh=tcp://127.0.0.1:22",
        description: "Show a code here, and approve it in the console"
      }
    ])
  )

/** The machine is an edge already, which would stay behind in the console. */
export class AlreadyPaired extends Schema.TaggedError<AlreadyPaired>()("AlreadyPaired", {
  edgeId: Schema.String,
  cloudUrl: Schema.String
}) {
  override get message(): string {
    return `this machine is paired already, as ${this.edgeId} of ${this.cloudUrl}: with --force it becomes a new edge, and that one stays behind until it is removed in the console`
  }
}

/** Asks where there is somebody to ask. Damaged credentials are nobody's loss. */
const mayReplace = Effect.gen(function* () {
  const state = yield* AgentState
  const paired = Option.getOrUndefined(yield* Effect.option(state.read))
  if (paired === undefined) return
  const error = new AlreadyPaired(paired)
  if (!process.stdin.isTTY || !process.stdout.isTTY) return yield* error
  const message = `This machine is paired already, as ${paired.edgeId} of ${paired.cloudUrl}. Pair it anew, as a new edge?`
  if (!(yield* Prompt.run(Prompt.Confirm({ message, initial: false })))) return yield* error
})

const flags = {
  code: Argument.String("CODE").pipe(
    Argument.withDescription("The code from the console; without one, this machine asks and you approve"),
    Argument.optional
  ),
  url: Flag.String("url").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription("Edge Relay's address, as you open it in a browser"),
    Flag.withSchema(CloudUrl)
  ),
  to: Flag.String("to").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription(
      "This machine's local server: http://HOST:PORT, https://HOST:PORT (its certificate is checked; ?ca=FILE names an authority of your own, https+insecure:// takes any) or unix:/PATH; with ?host-header=local it reads its own address in requests"
    ),
    Flag.withSchema(LocalTarget),
    Flag.withDefault("http://127.0.0.1:8080")
  ),
  service: Flag.String("service").pipe(
    Flag.withMetavar("NAME=TARGET"),
    Flag.withDescription("One more local service, such as ssh=tcp://127.0.0.1:22; may be given again"),
    Flag.withSchema(NamedTarget),
    Flag.atLeast(0)
  ),
  name: Flag.String("name").pipe(Flag.withDescription("What the console calls this machine"), Flag.optional),
  force: Flag.Boolean("force").pipe(
    Flag.withDescription("Pair this machine anew where it is paired already, without asking"),
    Flag.withDefault(false)
  ),
  json: Facts.flag,
  ca: Flag.File("ca", { mustExist: true }).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Certificate authorities to trust in place of the system's (PEM)"),
    Flag.optional
  )
}

const isLoopback = ({ hostname }: URL): boolean =>
  hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.")
