import * as AuthHttp from "@edge-relay/auth/sign-in/AuthHttp"
import * as AuthorizationLayer from "@edge-relay/auth/session/AuthorizationLayer"
import type { ClientAuth } from "@edge-relay/auth/provider/ClientAuth"
import type { RoleRules } from "@edge-relay/auth/provider/RoleClaim"
import { Oidc } from "@edge-relay/auth/provider/Oidc"
import { SessionCheck } from "@edge-relay/auth/session/SessionCheck"
import { ServiceTokens } from "@edge-relay/auth/tokens/ServiceTokens"
import { TokenCheck } from "@edge-relay/auth/tokens/TokenCheck"
import { AccessTokens } from "@edge-relay/domain/access-tokens/AccessTokens"
import { SessionCookie } from "@edge-relay/auth/session/SessionCookie"
import { SignIn, type SignInOptions } from "@edge-relay/auth/sign-in/SignIn"
import { AuthApi, SignInApi } from "@edge-relay/domain/api/Auth"
import { BodyRules, ChangeLimit, Conventions } from "@edge-relay/domain/api/Conventions"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import * as SignInSessionsMemory from "@edge-relay/domain/sign-in/SignInSessionsMemory"
import { NodeCrypto, NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer, Logger, Redacted, References } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder } from "effect/http-api"
import { RateLimiter } from "effect/persistence"
import { randomBytes } from "node:crypto"
import { createServer, type Server } from "node:http"

/** The sign-in of the cloud API alone; its groups are those of the real contract. */
class TestApi extends HttpApi.make("edge-relay").add(SignInApi, AuthApi) {}

/** What server-api's own layer does is tested there. */
const conventions = Layer.mergeAll(
  Layer.succeed(Conventions, (effect) => effect),
  Layer.succeed(ChangeLimit, (effect) => effect),
  Layer.succeed(BodyRules, (effect) => effect)
)

export const newKey = () => Redacted.make(new Uint8Array(randomBytes(32)))

export interface TestServerOptions extends Omit<SignInOptions, "publicUrl"> {
  readonly issuer: string
  readonly clientId?: string
  readonly clientSecret?: string
  readonly clientAuth?: ClientAuth
  readonly clientKey?: string
  readonly scopes?: string
  readonly tenantClaim?: string
  readonly roles?: RoleRules
  /** Accepts the provider's access tokens for it. */
  readonly serviceAudience?: string
  readonly sessionKeys?: ReadonlyArray<Redacted.Redacted<Uint8Array>>
  readonly timeoutSeconds?: number
  readonly clockToleranceSeconds?: number
  readonly sessions?: Layer.Layer<SignInSessions>
  readonly audit?: Layer.Layer<AuditLog>
}

export interface TestServer {
  readonly publicUrl: URL
  readonly sessions: SignInSessions["Service"]
  readonly audit: AuditLog["Service"]
  readonly check: SessionCheck["Service"]
  readonly flow: SignIn["Service"]
  /** Every line that was logged. */
  readonly logs: ReadonlyArray<string>
}

/** A listening server without a handler: the provider has to know its origin first. */
export const listening = Effect.acquireRelease(
  Effect.callback<{ readonly server: Server; readonly origin: URL }>((resume) => {
    // What the API's listener takes.
    const server = createServer({ maxHeaderSize: 80 * 1024 })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed({ server, origin: new URL(`http://localhost:${port}`) }))
    })
  }),
  ({ server }) =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
    })
)

/** Answers requests of a listening server with the sign-in, over real HTTP. */
export const serve = (
  socket: { readonly server: Server; readonly origin: URL },
  options: TestServerOptions
) => {
  const logs: Array<string> = []
  const logger = Logger.layer([Logger.map(Logger.formatJson, (line) => logs.push(line))])
  return Effect.map(serveWith(socket, options), (server): TestServer => ({ ...server, logs })).pipe(
    Effect.provide(logger),
    Effect.provideService(References.MinimumLogLevel, "Debug")
  )
}

const serveWith = Effect.fnUntraced(function* (
  { origin, server }: { readonly server: Server; readonly origin: URL },
  options: TestServerOptions
) {
  const scope = yield* Effect.scope
  const oidc = Oidc.layer({
    issuer: new URL(options.issuer),
    clientId: options.clientId ?? "edge-relay",
    clientSecret: options.clientSecret === undefined ? undefined : Redacted.make(options.clientSecret),
    clientAuth: options.clientAuth,
    clientKey: options.clientKey === undefined ? undefined : Redacted.make(options.clientKey),
    scopes: options.scopes ?? "openid profile email",
    tenantClaim: options.tenantClaim,
    roles: options.roles,
    publicUrl: origin,
    timeoutSeconds: options.timeoutSeconds,
    clockToleranceSeconds: options.clockToleranceSeconds
  })
  const cookie = SessionCookie.layer({ keys: options.sessionKeys ?? [newKey()], secure: false })
  const serviceTokens: Layer.Layer<never, never, Oidc> =
    options.serviceAudience === undefined
      ? Layer.empty
      : ServiceTokens.layer({
          issuer: new URL(options.issuer),
          audience: options.serviceAudience,
          tenantClaim: options.tenantClaim
        })
  // As server-api puts it together.
  const auth = AuthHttp.layer.pipe(
    Layer.provideMerge(AuthorizationLayer.layer({ publicUrl: origin })),
    Layer.provideMerge(
      Layer.mergeAll(SessionCheck.layer, TokenCheck.layer.pipe(Layer.provide(serviceTokens))).pipe(
        Layer.provideMerge(SignIn.layer({ ...options, publicUrl: origin }))
      )
    ),
    Layer.provideMerge(Layer.mergeAll(oidc, cookie))
  )
  const stores = Layer.mergeAll(
    options.sessions ?? SignInSessionsMemory.layer,
    options.audit ?? AuditLog.layerMemory,
    AccessTokens.layerMemory,
    RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))
  ).pipe(Layer.provideMerge(NodeCrypto.layer))
  // A memo map of its own: two servers of one test share no layer.
  const services = yield* Layer.buildWithMemoMap(
    auth.pipe(Layer.provideMerge(Layer.mergeAll(stores, conventions))),
    Layer.makeMemoMapUnsafe(),
    scope
  )
  const routes = HttpApiBuilder.layer(TestApi).pipe(Layer.provide(Layer.succeedContext(services)))
  const app = yield* HttpRouter.toHttpEffect(routes).pipe(
    Effect.provide(services),
    Effect.provide(NodeHttpServer.layerHttpServices)
  )
  const handler = yield* NodeHttpServer.makeHandler(app, { scope })
  server.removeAllListeners("request")
  server.on("request", handler)
  return {
    publicUrl: origin,
    sessions: Context.get(services, SignInSessions),
    audit: Context.get(services, AuditLog),
    check: Context.get(services, SessionCheck),
    flow: Context.get(services, SignIn)
  }
})
