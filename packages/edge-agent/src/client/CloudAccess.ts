import { type ProxyEnvironment, resolveProxy } from "@edge-relay/tunnel/agent/OutboundProxy"
import { Effect, FileSystem, Option, Redacted, Schema } from "effect"
import { Flag } from "effect/cli"
import { homedir } from "node:os"
import { defaultFolder } from "../AgentState.ts"
import * as Authorities from "../Authorities.ts"
import * as Login from "./Login.ts"
import * as LoginFile from "./LoginFile.ts"

/**
 * Where the cloud is and what opens it, for the commands of a person's own machine or of a script: flags first, then
 * `EDGE_RELAY_URL` and `EDGE_RELAY_TOKEN`, then the sign-in that `edge-relay login` has kept.
 */
export interface CloudAccess {
  readonly url: URL
  /** What to send now. */
  readonly token: Effect.Effect<Redacted.Redacted<string>, NoAccess, FileSystem.FileSystem>
  /** A PEM file of certificate authorities, in place of the system's, and what is in it. */
  readonly caFile: string | undefined
  readonly ca: ReadonlyArray<string> | undefined
  readonly environment: ProxyEnvironment
  readonly transport: "stream" | "websocket"
}

export class NoAccess extends Schema.TaggedError<NoAccess>()("NoAccess", { message: Schema.String }) {}

/** As `PUBLIC_URL` is: an origin. */
export const CloudUrl = Schema.URLFromString.check(
  Schema.makeFilter((url) => {
    if (url.protocol !== "https:" && url.protocol !== "http:") return "expected http:// or https://"
    if (url.username !== "" || url.password !== "") return "expected an address without a user name"
    const behind = `${url.pathname}${url.search}${url.hash}`
    return behind === "/" ? undefined : `expected the address alone: ${url.origin}, without ${behind}`
  })
)

export const flags = {
  url: Flag.String("url").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription("Edge Relay's address, as you open it in a browser; or EDGE_RELAY_URL"),
    Flag.withSchema(CloudUrl),
    Flag.optional
  ),
  token: Flag.Redacted("token").pipe(
    Flag.withMetavar("erp_…"),
    Flag.withDescription("An access token; others may read a command line: rather EDGE_RELAY_TOKEN"),
    Flag.optional
  ),
  tokenFile: Flag.Path("token-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("A file that holds an access token"),
    Flag.optional
  ),
  ca: Flag.File("ca", { mustExist: true }).pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Certificate authorities to trust in place of the system's (PEM)"),
    Flag.optional
  ),
  transport: Flag.Literals("transport", ["auto", "stream", "websocket"]).pipe(
    Flag.withDescription(
      "How streams go: over connections of their own, the fastest, or in WebSockets, which pass every proxy; auto: WebSockets where the address is https"
    ),
    Flag.withDefault("auto")
  )
}

export interface AccessFlags {
  readonly url: Option.Option<URL>
  readonly token: Option.Option<Redacted.Redacted<string>>
  readonly tokenFile: Option.Option<string>
  readonly ca: Option.Option<string>
  readonly transport: "auto" | "stream" | "websocket"
}

export const resolve = Effect.fnUntraced(function* (given: AccessFlags, environment: ProxyEnvironment) {
  const fs = yield* FileSystem.FileSystem
  const folder = defaultFolder(environment, environment["HOME"] ?? homedir())
  const { caFile, url } = yield* cloud(given, environment, folder)
  const read = (file: string) =>
    Effect.mapError(
      fs.readFileString(file),
      (error) => new NoAccess({ message: `cannot read ${file} (${error.reason._tag})` })
    )
  yield* resolveProxy(url, environment)
  const ca = caFile === undefined ? undefined : [yield* Authorities.read(caFile)]
  const isSecure = url.protocol === "https:"
  const access: CloudAccess = {
    url,
    token: tokenOf(given, environment["EDGE_RELAY_TOKEN"], read, () =>
      Effect.mapError(
        Login.token({ url, caFile, environment }, folder),
        ({ message }) => new NoAccess({ message })
      )
    ),
    caFile,
    ca,
    environment,
    transport: given.transport === "auto" ? (isSecure ? "websocket" : "stream") : given.transport
  }
  return access
})

/** Which cloud: by flag, by environment, or the one that this machine is signed in to. */
export const cloud = Effect.fnUntraced(function* (
  given: Pick<AccessFlags, "url" | "ca">,
  environment: ProxyEnvironment,
  folder: string
) {
  const login = yield* Effect.option(LoginFile.read(folder))
  const named =
    environment["EDGE_RELAY_URL"] ?? Option.getOrUndefined(Option.map(login, (kept) => kept.cloudUrl))
  const url = yield* urlOf(given.url, named)
  return { url, caFile: Option.getOrUndefined(given.ca), environment }
})

export const urlOfLogin = ({ cloudUrl }: LoginFile.Login): Option.Option<URL> =>
  Option.fromNullishOr(URL.parse(cloudUrl))

const urlOf = (given: Option.Option<URL>, named: string | undefined): Effect.Effect<URL, NoAccess> => {
  if (Option.isSome(given)) return Effect.succeed(given.value)
  return Effect.mapError(
    Schema.decodeUnknownEffect(CloudUrl)(named),
    () => new NoAccess({ message: "which cloud? give --url, or set EDGE_RELAY_URL to its address" })
  )
}

/** A file is read anew each time: whoever renews what is in it need not restart us. */
const tokenOf = (
  { token, tokenFile }: AccessFlags,
  named: string | undefined,
  read: (file: string) => Effect.Effect<string, NoAccess>,
  signedIn: () => CloudAccess["token"]
): CloudAccess["token"] => {
  if (Option.isSome(token)) return Effect.succeed(token.value)
  if (Option.isSome(tokenFile)) {
    return Effect.map(read(tokenFile.value), (text) => Redacted.make(text.trim(), { label: "token" }))
  }
  return named === undefined || named === "" ? signedIn() : Effect.succeed(Redacted.make(named))
}
