import * as EdgeHostHttp from "@edge-relay/auth/edge-host/EdgeHostHttp"
import { EdgeHostSeal } from "@edge-relay/auth/edge-host/EdgeHostSeal"
import * as AuthHttp from "@edge-relay/auth/sign-in/AuthHttp"
import * as AuthorizationLayer from "@edge-relay/auth/session/AuthorizationLayer"
import { SessionCheck } from "@edge-relay/auth/session/SessionCheck"
import { SessionCookie } from "@edge-relay/auth/session/SessionCookie"
import type { Oidc } from "@edge-relay/auth/provider/Oidc"
import { ServiceTokens } from "@edge-relay/auth/tokens/ServiceTokens"
import { TokenCheck } from "@edge-relay/auth/tokens/TokenCheck"
import { SignIn } from "@edge-relay/auth/sign-in/SignIn"
import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { TerminalSignIn } from "@edge-relay/domain/sign-in/TerminalSignIn"
import { Pairing } from "@edge-relay/domain/pairing/Pairing"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Duration, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { ClientAddress } from "@edge-relay/server-kit/ClientAddress"
import { AccessLog } from "./AccessLog.ts"
import { Config } from "./Config.ts"
import * as Console from "./http/Console.ts"
import * as ConventionsLayer from "./http/conventions/ConventionsLayer.ts"
import { EdgeAccess } from "@edge-relay/gateway/access/EdgeAccess"
import { Gateway } from "@edge-relay/gateway/Gateway"
import { GatewayAuth } from "@edge-relay/gateway/access/GatewayAuth"
import * as RemovedEdges from "@edge-relay/gateway/access/RemovedEdges"
import { Traffic } from "@edge-relay/gateway/traffic/Traffic"
import * as AuditHandlers from "./http/AuditHandlers.ts"
import { Downloads } from "./downloads/Downloads.ts"
import * as DownloadsHandlers from "./downloads/DownloadsHandlers.ts"
import * as DocsHandlers from "./http/DocsHandlers.ts"
import * as EdgesHandlers from "./http/EdgesHandlers.ts"
import * as HealthHandlers from "./http/HealthHandlers.ts"
import * as PairingHandlers from "./http/PairingHandlers.ts"
import * as SystemHandlers from "./http/SystemHandlers.ts"
import * as TerminalHandlers from "./http/TerminalHandlers.ts"
import * as TokensHandlers from "./http/TokensHandlers.ts"
import * as WithinReachLayer from "./http/WithinReachLayer.ts"
import * as Housekeeping from "./Housekeeping.ts"
import { Limits } from "./http/conventions/Limits.ts"
import { Listener } from "./Listener.ts"
import { LiveEvents } from "./live/LiveEvents.ts"
import { Readiness } from "@edge-relay/server-kit/Readiness"
import * as Tracing from "./Tracing.ts"

/** Every route of the server, on whatever router it is given. */
export const layerRoutes = Layer.unwrap(
  Effect.map(Config, ({ edgeDomain, publicUrl }) => {
    const handlers = Layer.mergeAll(
      AuthHttp.layer,
      EdgeHostHttp.layer({ publicUrl, edgeDomain }),
      PairingHandlers.layer,
      EdgesHandlers.layer,
      AuditHandlers.layer,
      SystemHandlers.layer,
      TokensHandlers.layer,
      TerminalHandlers.layer,
      HealthHandlers.layer
    )
    return Layer.mergeAll(
      HttpApiBuilder.layer(CloudApi).pipe(Layer.provide(handlers)),
      Console.layer,
      DocsHandlers.layer,
      DownloadsHandlers.layer
    ).pipe(
      Layer.provide(
        Layer.mergeAll(
          AuthorizationLayer.layer({ publicUrl }),
          WithinReachLayer.layer,
          ConventionsLayer.layer
        )
      )
    )
  })
)

/** What routes and gateway have in common; some of it is this process's own memory. */
export const layerServices = Layer.unwrap(
  Effect.map(
    Config,
    ({
      forwardedHeader,
      oidc,
      publicUrl,
      sessionIdleHours,
      sessionKeys,
      sessionMaxHours,
      trustedProxies
    }) => {
      const { issuer, roles, service, serviceAudience: audience, tenantClaim } = oidc
      const services: Layer.Layer<never, never, Oidc> =
        audience === undefined
          ? Layer.empty
          : ServiceTokens.layer({ issuer, audience, clientId: service?.clientId, tenantClaim, roles })
      const signIn = SignIn.layer({
        publicUrl,
        idle: Duration.hours(sessionIdleHours),
        absolute: Duration.hours(sessionMaxHours)
      })
      return Layer.mergeAll(
        ClientAddress.layer({ trusted: trustedProxies, header: forwardedHeader }),
        Downloads.layer,
        LiveEvents.layer,
        Limits.layer,
        Pairing.layer,
        SessionCheck.layer,
        TokenCheck.layer.pipe(Layer.provide(services)),
        TerminalSignIn.layer({ absolute: Duration.hours(sessionMaxHours) }),
        Traffic.layer
      ).pipe(
        Layer.provideMerge(signIn),
        Layer.provideMerge(
          Layer.merge(
            SessionCookie.layer({ keys: sessionKeys, secure: publicUrl.protocol === "https:" }),
            EdgeHostSeal.layer({ keys: sessionKeys })
          )
        ),
        Layer.provideMerge(Layer.mergeAll(Readiness.layer, NodeHttpServer.layerHttpServices))
      )
    }
  )
)

const layerGateway = Layer.unwrap(
  Effect.gen(function* () {
    const { edgeDomain, publicUrl, trustedProxies } = yield* Config
    const { watch } = yield* AccessLog
    const { of: addressOf } = yield* ClientAddress
    return Gateway.layer({
      publicUrl,
      edgeDomain,
      watch,
      firstByteMillis: SystemHandlers.limits.firstByteSeconds * 1000,
      maxStreamsPerEdge: SystemHandlers.limits.streamsPerEdge,
      // Node makes the object of a request's headers when it is first asked for it: only where it is looked at.
      ...(trustedProxies.length > 0 && {
        addressOf: ({ headers, socket }) => addressOf(socket.remoteAddress, headers)
      })
    }).pipe(Layer.provide(Layer.mergeAll(GatewayAuth.layer, EdgeAccess.layer)))
  })
)

/**
 * The API server, open: whoever closes it says where things are kept, who the identity provider is and how edges
 * are reached. `main.ts` closes it with `Backends.ts`, tests with memory.
 */
export const layer = Layer.mergeAll(Listener.layer, Housekeeping.layer, RemovedEdges.layer()).pipe(
  Layer.provide(layerRoutes),
  Layer.provide(Layer.suspend(() => layerRouter)),
  Layer.provide(layerGateway),
  Layer.provideMerge(layerServices),
  Layer.provide(Tracing.layer)
)

/** Paths mean what they say: no case folding, no slash more or less. Ids and codes are far shorter than 256. */
const layerRouter = HttpRouter.layer.pipe(
  Layer.provide(
    Layer.succeed(HttpRouter.RouterConfig, {
      caseSensitive: true,
      ignoreDuplicateSlashes: false,
      ignoreTrailingSlash: false,
      maxParamLength: 256
    })
  )
)
