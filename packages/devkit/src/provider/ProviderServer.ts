import { Clock, Context, Effect, Layer, Schema } from "effect"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { Provider } from "oidc-provider/lib/provider.js"
import { makeConfiguration } from "./Configuration.ts"
import { makeInteraction } from "./Interaction.ts"
import { StateFile } from "./StateFile.ts"
import { makeStorage } from "./Storage.ts"

/** The provider cannot have the address that it was told to listen on. */
export class ProviderCannotListen extends Schema.TaggedError<ProviderCannotListen>()("ProviderCannotListen", {
  host: Schema.String,
  port: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `cannot listen on ${this.host}:${this.port}`
  }
}

/**
 * The embedded identity provider: a real one (`oidc-provider`) over real HTTP, for development and tests. Users
 * alice and bob, any password; clients `edge-relay` (public, PKCE) and `edge-relay-confidential`. It keeps
 * everything in memory; where it is given a file, that has its keys and what it handed out for the next start.
 */
export class ProviderServer extends Context.Service<
  ProviderServer,
  {
    /** What `OIDC_ISSUER` is to be. */
    readonly issuer: string
    readonly port: number
  }
>()("@edge-relay/devkit/provider/ProviderServer") {
  static readonly layer = (options: {
    /** The origin that browsers reach the api at: redirect URIs are made of it. */
    readonly publicUrl: URL
    /** 0 takes a free one. */
    readonly port: number
    readonly host?: string
    /** In a folder that exists. */
    readonly stateFile?: string
    /** How long access tokens live; short ones make clients refresh. */
    readonly accessTokenSeconds?: number
  }) =>
    Layer.effect(
      ProviderServer,
      Effect.gen(function* () {
        const host = options.host ?? "127.0.0.1"
        const clock = yield* Clock.Clock
        const fork = Effect.runForkWith(yield* Effect.context<never>())
        // Before the server, hence written after its last answer.
        const state = yield* Effect.acquireRelease(
          Effect.promise(() =>
            StateFile.open(options.stateFile, (error) =>
              fork(Effect.logWarning("the provider's state could not be kept", error))
            )
          ),
          ({ close }) => Effect.sync(close)
        )
        let handle = (_request: IncomingMessage, response: ServerResponse) => {
          response.writeHead(503).end()
        }
        const server = createServer((request, response) => handle(request, response))
        const port = yield* listen(server, host, options.port)
        // Cookies do not know of ports, and `localhost` is where browsers allow them without https.
        const issuer = `http://${host === "127.0.0.1" ? "localhost" : host}:${port}`
        const configuration = makeConfiguration({
          publicUrl: options.publicUrl,
          keys: state.keys,
          adapter: makeStorage(() => clock.currentTimeMillisUnsafe(), state.entries, state.touch),
          accessTokenSeconds: options.accessTokenSeconds ?? 600
        })
        const provider = new Provider(issuer, configuration)
        provider.on("server_error", (_ctx, error) => fork(Effect.logError("provider error", error)))
        provider.on("backchannel.error", (_ctx, error, client) =>
          fork(Effect.logWarning(`back-channel logout of ${client.clientId} failed`, error))
        )
        const interaction = makeInteraction(provider, options.publicUrl, (error) =>
          fork(Effect.logError("the sign-in page failed", error))
        )
        const rest = provider.callback()
        handle = (request, response) => {
          if (!interaction(request, response)) void rest(request, response)
        }
        return ProviderServer.of({ issuer, port })
      })
    )
}

const listen = (server: Server, host: string, port: number) =>
  Effect.acquireRelease(
    Effect.callback<number, ProviderCannotListen>((resume) => {
      const onError = (cause: Error) => resume(new ProviderCannotListen({ host, port, cause }))
      server.once("error", onError)
      server.listen(port, host, () => {
        server.off("error", onError)
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
      })
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
