import * as AuthHttp from "@edge-relay/auth/AuthHttp"
import * as AuthorizationLayer from "@edge-relay/auth/AuthorizationLayer"
import { SessionCheck } from "@edge-relay/auth/SessionCheck"
import { SessionCookie } from "@edge-relay/auth/SessionCookie"
import { SignIn } from "@edge-relay/auth/SignIn"
import { CloudApi } from "@edge-relay/domain/api/CloudApi"
import { Pairing } from "@edge-relay/domain/Pairing"
import { NodeHttpServer } from "@effect/platform-node"
import { Duration, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { AccessLog } from "./AccessLog.ts"
import { clientAddress } from "./ClientAddress.ts"
import { Config } from "./Config.ts"
import * as Console from "./Console.ts"
import * as ConventionsLayer from "./ConventionsLayer.ts"
import { EdgeAccess } from "./gateway/EdgeAccess.ts"
import { Gateway } from "./gateway/Gateway.ts"
import { GatewayAuth } from "./gateway/GatewayAuth.ts"
import { Traffic } from "./gateway/Traffic.ts"
import * as AuditHandlers from "./handlers/AuditHandlers.ts"
import * as DocsHandlers from "./handlers/DocsHandlers.ts"
import * as EdgesHandlers from "./handlers/EdgesHandlers.ts"
import * as HealthHandlers from "./handlers/HealthHandlers.ts"
import * as PairingHandlers from "./handlers/PairingHandlers.ts"
import * as SystemHandlers from "./handlers/SystemHandlers.ts"
import * as Housekeeping from "./Housekeeping.ts"
import { Limits } from "./Limits.ts"
import { Listener } from "./Listener.ts"
import { LiveEvents } from "./LiveEvents.ts"
import { Readiness } from "./Readiness.ts"

/**
 * The API server, open: whoever closes it says where things are kept, who the identity provider is and how edges
 * are reached. `main.ts` closes it with `Backends.ts`, tests with memory.
 */
export const layer = Layer.unwrap(
  Effect.map(Config, (config) => {
    const { publicUrl } = config

    const handlers = Layer.mergeAll(
      AuthHttp.layer,
      PairingHandlers.layer,
      EdgesHandlers.layer,
      AuditHandlers.layer,
      SystemHandlers.layer,
      HealthHandlers.layer
    )

    const routes = Layer.mergeAll(
      HttpApiBuilder.layer(CloudApi).pipe(Layer.provide(handlers)),
      Console.layer({ publicUrl }),
      DocsHandlers.layer({ publicUrl })
    ).pipe(
      Layer.provide(Layer.mergeAll(AuthorizationLayer.layer({ publicUrl }), ConventionsLayer.layer)),
      Layer.provideMerge(routerLayer)
    )

    const signIn = SignIn.layer({
      publicUrl,
      idle: Duration.hours(config.sessionIdleHours),
      absolute: Duration.hours(config.sessionMaxHours)
    })

    const addressOf = clientAddress(config.trustedProxies)
    const gateway = Gateway.layer({
      publicUrl,
      addressOf: ({ headers, socket }) => addressOf(socket.remoteAddress, headers)
    }).pipe(Layer.provide(Layer.mergeAll(GatewayAuth.layer, EdgeAccess.layer)))

    return Layer.mergeAll(Listener.layer, Housekeeping.layer).pipe(
      Layer.provideMerge(routes),
      Layer.provide(Layer.mergeAll(gateway, LiveEvents.layer)),
      Layer.provide(Layer.mergeAll(signIn, SessionCheck.layer, Pairing.layer, Limits.layer, Traffic.layer)),
      Layer.provide(
        SessionCookie.layer({ keys: config.sessionKeys, secure: publicUrl.protocol === "https:" })
      ),
      Layer.provide(
        AccessLog.layer({ write: (text) => process.stdout.write(text), format: config.logFormat })
      ),
      Layer.provideMerge(Readiness.layer),
      Layer.provide(NodeHttpServer.layerHttpServices)
    )
  })
)

/** Paths mean what they say: no case folding, no slash more or less. Ids and codes are far shorter than 256. */
const routerLayer = HttpRouter.layer.pipe(
  Layer.provide(
    Layer.succeed(HttpRouter.RouterConfig, {
      caseSensitive: true,
      ignoreDuplicateSlashes: false,
      ignoreTrailingSlash: false,
      maxParamLength: 256
    })
  )
)
