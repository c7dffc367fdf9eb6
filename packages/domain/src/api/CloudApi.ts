import { Context } from "effect"
import { HttpApi, OpenApi } from "effect/http-api"
import { TokenScope } from "../access-tokens/TokenScope.ts"
import { EdgeApi } from "../edge-api/EdgeApi.ts"
import { complete, mountPath } from "./ApiDocument.ts"
import { AuditApi } from "./Audit.ts"
import { AuthApi, SignInApi } from "./Auth.ts"
import { EdgeHostsApi } from "./EdgeHosts.ts"
import { EdgesApi } from "./Edges.ts"
import { EdgePairingApi, PairingApi } from "./Pairing.ts"
import { HealthApi, SystemApi } from "./System.ts"
import { StreamsApi } from "./Streams.ts"
import { TerminalApi, TerminalDecisionsApi } from "./Terminal.ts"
import { TokensApi } from "./Tokens.ts"

/**
 * What the cloud answers itself. Bodies and queries are strict: a field that the contract does not know is
 * refused by name, so that a misspelt filter is an error and not a longer list.
 */
export class CloudApi extends HttpApi.make("edge-relay")
  .add(
    SignInApi,
    AuthApi,
    EdgeHostsApi,
    EdgePairingApi,
    PairingApi,
    EdgesApi,
    TokensApi,
    TerminalApi,
    TerminalDecisionsApi,
    AuditApi,
    SystemApi,
    HealthApi
  )
  .annotate(HttpApi.PayloadParseOptions, { onExcessProperty: "error", errors: "all" })
  .annotate(HttpApi.QueryParseOptions, { onExcessProperty: "error", errors: "all" })
  .annotateMerge(
    OpenApi.annotations({
      title: "Edge Relay",
      version: "1.0.0",
      description: "Reach machines behind NAT: sign in, pair an edge, talk to it."
    })
  ) {}

const withStreams = CloudApi.add(StreamsApi)

const scopeOfOperation = new Map(
  Object.values(withStreams.groups).flatMap((group) =>
    Object.values(group.endpoints).map(({ annotations, identifier }) => [
      `${group.identifier}.${identifier}`,
      Context.get(annotations, TokenScope)
    ])
  )
)
const scopeOf = (operationId: string) => scopeOfOperation.get(operationId) ?? "none"

/**
 * The whole of what browsers and scripts can call: the cloud's own, streams to services, and the edge API mounted under an edge,
 * which one forwarder passes through the tunnel. This is the value that `/openapi.json`, the typed client and
 * the test that tries every endpoint are made of.
 */
export const PublicApi = withStreams
  .addHttpApi(EdgeApi.prefix(mountPath))
  .annotate(OpenApi.Transform, complete(scopeOf))
