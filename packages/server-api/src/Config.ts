import type { ClientAuth } from "@edge-relay/auth/provider/ClientAuth"
import * as CommonSettings from "@edge-relay/server-kit/CommonSettings"
import { type Fault, keyExample, read, variable } from "@edge-relay/server-kit/Environment"
import * as Values from "@edge-relay/server-kit/EnvironmentValues"
import type { RoleRules } from "@edge-relay/auth/provider/RoleClaim"
import * as RoleMap from "./RoleMap.ts"
import * as EdgeDomain from "./EdgeDomain.ts"
import { Context, Effect, Layer, type Redacted } from "effect"

/** What the API server is told by its environment, read once. */
export class Config extends Context.Service<Config, Settings>()("@edge-relay/server-api/Config") {
  static readonly layer = Layer.effect(
    Config,
    Effect.suspend(() => settings)
  )
}

export interface Settings extends CommonSettings.CommonSettings {
  readonly publicUrl: URL
  /** Edges have their hosts under it, with its port; undefined: none has. */
  readonly edgeDomain: string | undefined
  readonly tunnelUrl: string
  readonly host: string
  readonly port: number
  readonly internalHost: string
  readonly internalPort: number
  readonly proxyInternalUrl: URL
  readonly sessionKeys: ReadonlyArray<Redacted.Redacted<Uint8Array>>
  readonly sessionIdleHours: number
  readonly sessionMaxHours: number
  readonly oidc: {
    readonly issuer: URL
    readonly clientId: string
    readonly clientSecret: Redacted.Redacted<string> | undefined
    readonly clientAuth: ClientAuth
    readonly clientKey: Redacted.Redacted<string> | undefined
    readonly scopes: string
    readonly tenantClaim: string | undefined
    /** Undefined: everybody is an admin. */
    readonly roles: RoleRules | undefined
    readonly clockToleranceSeconds: number
    readonly service:
      | { readonly clientId: string; readonly clientSecret: Redacted.Redacted<string> }
      | undefined
    /** Services' access tokens for it are accepted; none are where it is left out. */
    readonly serviceAudience: string | undefined
  }
  readonly drainSeconds: number
  readonly auditDays: number
  /** Files for machines that are to be paired; undefined: none are offered. */
  readonly downloadsDir: string | undefined
  readonly tracing: {
    /** A collector's base URL; undefined: nothing is traced. */
    readonly endpoint: URL | undefined
    readonly serviceName: string
    /** Of the requests that come without a trace of their own, 0 to 1. */
    readonly share: number
  }
}

/** Whoever makes the key keeps it: no key to copy. */
const clientKeyExample = '{"kty":"EC","crv":"P-256","alg":"ES256","kid":…,"x":…,"y":…,"d":…}'

const variables = {
  ...CommonSettings.variables,
  publicUrl: variable(
    "PUBLIC_URL",
    "https://relay.example.com",
    Values.withDefault("http://localhost:3721", Values.publicUrl)
  ),
  edgeDomain: variable("EDGE_DOMAIN", "edges.example.net", Values.optional(EdgeDomain.parse)),
  tunnelUrl: variable(
    "TUNNEL_URL",
    "wss://tunnel.example.com",
    Values.withDefault("ws://localhost:3800", Values.tunnelUrl)
  ),
  host: variable("API_HOST", "0.0.0.0", Values.withDefault("127.0.0.1", Values.host)),
  port: variable("API_PORT", "3721", Values.withDefault("3721", Values.port)),
  internalHost: variable("API_INTERNAL_HOST", "0.0.0.0", Values.withDefault("127.0.0.1", Values.host)),
  internalPort: variable("API_INTERNAL_PORT", "3723", Values.withDefault("3723", Values.port)),
  proxyInternalUrl: variable(
    "PROXY_INTERNAL_URL",
    "http://127.0.0.1:3801",
    Values.withDefault("http://127.0.0.1:3801", Values.internalUrl)
  ),
  sessionKeys: variable("SESSION_KEYS", keyExample, Values.required(Values.sessionKeys)),
  sessionIdleHours: variable(
    "SESSION_IDLE_HOURS",
    "8",
    Values.withDefault("8", Values.wholeNumber(1, 24 * 365))
  ),
  sessionMaxHours: variable(
    "SESSION_MAX_HOURS",
    "168",
    Values.withDefault("168", Values.wholeNumber(1, 24 * 365))
  ),
  issuer: variable("OIDC_ISSUER", "https://login.example.com", Values.required(Values.issuer)),
  clientId: variable("OIDC_CLIENT_ID", "edge-relay", Values.required(Values.text)),
  clientSecret: variable("OIDC_CLIENT_SECRET", "from-the-provider", Values.optional(Values.secret)),
  clientAuth: variable(
    "OIDC_CLIENT_AUTH",
    "basic",
    Values.withDefault("post", Values.oneOf("post", "basic", "private_key_jwt"))
  ),
  clientKey: variable("OIDC_CLIENT_KEY", clientKeyExample, Values.optional(Values.privateJwk)),
  scopes: variable(
    "OIDC_SCOPES",
    "openid profile email",
    Values.withDefault("openid profile email", Values.scopes)
  ),
  tenantClaim: variable("OIDC_TENANT_CLAIM", "org_id", Values.optional(Values.text)),
  clockToleranceSeconds: variable(
    "OIDC_CLOCK_TOLERANCE_SECONDS",
    "60",
    Values.withDefault("60", Values.wholeNumber(0, 600))
  ),
  rolesClaim: variable("OIDC_ROLES_CLAIM", "realm_access.roles", Values.optional(Values.text)),
  roleMap: variable("OIDC_ROLE_MAP", RoleMap.example, Values.optional(RoleMap.parse)),
  serviceAudience: variable("OIDC_SERVICE_AUDIENCE", "urn:edge-relay:api", Values.optional(Values.text)),
  serviceClientId: variable("OIDC_SERVICE_CLIENT_ID", "edge-relay-service", Values.optional(Values.text)),
  serviceClientSecret: variable(
    "OIDC_SERVICE_CLIENT_SECRET",
    "from-the-provider",
    Values.optional(Values.secret)
  ),
  drainSeconds: variable("DRAIN_SECONDS", "30", Values.withDefault("30", Values.wholeNumber(0, 3600))),
  auditDays: variable("AUDIT_DAYS", "90", Values.withDefault("90", Values.wholeNumber(1, 3650))),
  downloadsDir: variable("DOWNLOADS_DIR", "/usr/share/edge-relay/downloads", Values.optional(Values.text)),
  serviceName: variable(
    "OTEL_SERVICE_NAME",
    "edge-relay-api",
    Values.withDefault("edge-relay-api", Values.text)
  ),
  tracesShare: variable("OTEL_TRACES_SAMPLER_ARG", "0.1", Values.withDefault("1", Values.share))
}

const settings = Effect.map(
  Effect.suspend(() => read(variables, contradictions)),
  ({
    issuer,
    clientId,
    clientSecret,
    clientAuth,
    clientKey,
    scopes,
    tenantClaim,
    clockToleranceSeconds,
    rolesClaim,
    roleMap,
    serviceAudience,
    serviceClientId,
    serviceClientSecret,
    ...found
  }): Settings => ({
    ...found,
    edgeDomain: found.edgeDomain ?? EdgeDomain.onLoopback(found.publicUrl),
    oidc: {
      issuer,
      clientId,
      clientSecret,
      clientAuth,
      clientKey,
      scopes,
      tenantClaim,
      clockToleranceSeconds,
      roles:
        rolesClaim === undefined || roleMap === undefined ? undefined : { claim: rolesClaim, map: roleMap },
      serviceAudience,
      service:
        serviceClientId === undefined || serviceClientSecret === undefined
          ? undefined
          : { clientId: serviceClientId, clientSecret: serviceClientSecret }
    },
    ...CommonSettings.defaults(found),
    tracing: { endpoint: found.tracesEndpoint, serviceName: found.serviceName, share: found.tracesShare }
  })
)

const contradictions = (found: {
  readonly publicUrl?: URL
  readonly edgeDomain?: string | undefined
  readonly issuer?: URL
  readonly clientSecret?: unknown
  readonly clientAuth?: ClientAuth
  readonly clientKey?: unknown
  readonly rolesClaim?: string | undefined
  readonly roleMap?: unknown
  readonly serviceClientId?: string | undefined
  readonly serviceClientSecret?: unknown
}): ReadonlyArray<Fault> => {
  const faults: Array<Fault> = []
  if ((found.rolesClaim === undefined) !== (found.roleMap === undefined)) {
    faults.push({
      variable: found.rolesClaim === undefined ? "OIDC_ROLES_CLAIM" : "OIDC_ROLE_MAP",
      problem: "is required with its other half, or neither",
      example: found.rolesClaim === undefined ? "realm_access.roles" : RoleMap.example
    })
  }
  const id = found.serviceClientId
  if ((id === undefined) !== (found.serviceClientSecret === undefined)) {
    faults.push({
      variable: id === undefined ? "OIDC_SERVICE_CLIENT_ID" : "OIDC_SERVICE_CLIENT_SECRET",
      problem: "is required with its other half, or neither",
      example: id === undefined ? "edge-relay-service" : "from-the-provider"
    })
  }
  if (found.clientAuth === "basic" && found.clientSecret === undefined) {
    const problem = "is required where OIDC_CLIENT_AUTH is basic"
    faults.push({ variable: "OIDC_CLIENT_SECRET", problem, example: "from-the-provider" })
  }
  // A key that is no key is a fault already.
  if (
    found.clientAuth !== undefined &&
    "clientKey" in found &&
    (found.clientAuth === "private_key_jwt") !== (found.clientKey !== undefined)
  ) {
    const problem = "is required where OIDC_CLIENT_AUTH is private_key_jwt, and not used otherwise"
    faults.push({ variable: "OIDC_CLIENT_KEY", problem, example: clientKeyExample })
  }
  const problem =
    found.edgeDomain !== undefined && found.publicUrl !== undefined
      ? EdgeDomain.conflict(found.edgeDomain, found.publicUrl)
      : undefined
  if (problem !== undefined) {
    faults.push({ variable: "EDGE_DOMAIN", problem, example: "edges.example.net" })
  }
  if (found.issuer?.protocol === "http:" && found.publicUrl?.protocol === "https:") {
    faults.push({
      variable: "OIDC_ISSUER",
      problem: "must be https where PUBLIC_URL is",
      example: "https://login.example.com"
    })
  }
  return faults
}
