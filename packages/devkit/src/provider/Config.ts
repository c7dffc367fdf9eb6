import { Config, Effect, Runtime, Schema } from "effect"
import { parseArgs } from "node:util"

export const usage = `usage: npm run provider -- [--port PORT]

The development identity provider: users alice and bob, any password; clients
edge-relay (public, PKCE) and edge-relay-confidential (secret development-secret).

  --port PORT      where to listen on loopback (PROVIDER_PORT, 3722)
  --help           this text

  PUBLIC_URL       the origin that browsers reach the api at (http://localhost:3721)
`

/** The command line or the environment is wrong: every fault at once. Exit status 78 (EX_CONFIG). */
export class BadConfiguration extends Schema.TaggedError<BadConfiguration>()("BadConfiguration", {
  faults: Schema.Array(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = 78
  override readonly [Runtime.errorReported] = false
  override get message(): string {
    return this.faults.join("\n")
  }
}

const parsePort = (name: string, text: string): number | string => {
  const port = Number(text)
  return /^\d{1,5}$/.test(text) && port <= 65_535 ? port : `${name}: "${text}" is not a port, such as 3722`
}

const parseOrigin = (name: string, text: string): URL | string => {
  const url = URL.parse(text)
  const isOrigin = url !== null && /^https?:$/.test(url.protocol) && url.pathname === "/" && url.search === ""
  return isOrigin ? url : `${name}: "${text}" is not an origin, such as http://localhost:3721`
}

/** What the binary is to do: undefined asks for the usage text. */
export const readConfig = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const { values } = yield* Effect.try({
    try: () =>
      parseArgs({
        args: [...args],
        options: { port: { type: "string" }, help: { type: "boolean", short: "h" } }
      }),
    catch: (error) =>
      new BadConfiguration({ faults: [error instanceof Error ? error.message : String(error)] })
  })
  if (values.help === true) return undefined
  const environment = yield* Config.all({
    port: Config.String("PROVIDER_PORT").pipe(Config.withDefault("3722")),
    publicUrl: Config.String("PUBLIC_URL").pipe(Config.withDefault("http://localhost:3721"))
  }).pipe(Effect.mapError((error) => new BadConfiguration({ faults: [error.message] })))
  const port =
    values.port === undefined
      ? parsePort("PROVIDER_PORT", environment.port)
      : parsePort("--port", values.port)
  const publicUrl = parseOrigin("PUBLIC_URL", environment.publicUrl)
  if (typeof port === "string" || typeof publicUrl === "string") {
    return yield* new BadConfiguration({ faults: [port, publicUrl].filter((one) => typeof one === "string") })
  }
  return { port, publicUrl }
})
