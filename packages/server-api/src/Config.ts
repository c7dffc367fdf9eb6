import { Config as Env, Context, Effect, Layer, Option, Redacted, Result, Schema } from "effect"
import * as Values from "./ConfigValues.ts"

/**
 * What the API server is told by its environment, read once. Every fault is found before any is reported, so that
 * a new installation is put right in one go. A variable that is empty counts as unset.
 */
export class Config extends Context.Service<Config, Settings>()("@edge-relay/server-api/Config") {
  static readonly layer = Layer.effect(
    Config,
    Effect.suspend(() => read)
  )
}

/** What is wrong with one variable. The value is not in it: it could be a secret. */
export interface Fault {
  readonly variable: string
  readonly problem: string
  readonly example: string
}

/** The environment does not say what it must. Exit status 78 (`EX_CONFIG`, sysexits.h). */
export class BadConfiguration extends Schema.TaggedError<BadConfiguration>()("BadConfiguration", {
  faults: Schema.Array(
    Schema.Struct({ variable: Schema.String, problem: Schema.String, example: Schema.String })
  )
}) {
  override get message(): string {
    const lines = this.faults.map(
      ({ variable, problem, example }) => `  ${variable} ${problem}, e.g. ${variable}=${example}`
    )
    return `the configuration has ${lines.length === 1 ? "a fault" : `${lines.length} faults`}:\n${lines.join("\n")}`
  }
}

export interface Settings {
  readonly publicUrl: URL
  readonly tunnelUrl: string
  readonly host: string
  readonly port: number
  readonly internalHost: string
  readonly internalPort: number
  readonly proxyInternalUrl: URL
  readonly internalKey: Redacted.Redacted<string>
  readonly databaseUrl: Redacted.Redacted<string>
  readonly redisUrl: Redacted.Redacted<string> | undefined
  readonly sessionKeys: ReadonlyArray<Redacted.Redacted<Uint8Array>>
  readonly sessionIdleHours: number
  readonly sessionMaxHours: number
  readonly oidc: {
    readonly issuer: URL
    readonly clientId: string
    readonly clientSecret: Redacted.Redacted<string> | undefined
    readonly scopes: string
    readonly tenantClaim: string | undefined
    readonly service:
      | { readonly clientId: string; readonly clientSecret: Redacted.Redacted<string> }
      | undefined
  }
  readonly trustedProxies: ReadonlyArray<string>
  readonly logLevel: "Debug" | "Info" | "Warn" | "Error"
  readonly logFormat: "json" | "pretty"
  readonly drainSeconds: number
  readonly auditDays: number
  readonly tracing: {
    /** A collector's base URL; undefined: nothing is traced. */
    readonly endpoint: URL | undefined
    readonly serviceName: string
    /** Of the requests that come without a trace of their own, 0 to 1. */
    readonly share: number
  }
}

/** A variable's value, or its fault. */
const variable = <A>(
  name: string,
  example: string,
  parse: Values.Parse<A>
): Effect.Effect<Result.Result<A, Fault>> =>
  Effect.map(Effect.result(Env.option(Env.String(name))), (found) => {
    // Only a source that cannot be read fails here.
    const given = Result.isSuccess(found) ? Option.getOrUndefined(found.success) : undefined
    return Result.mapError(parse(given === "" ? undefined : given), (problem) => ({
      variable: name,
      problem,
      example
    }))
  })

/** A random key, as an example to copy would be copied: these show the command instead. */
const keyExample = "$(openssl rand -base64 32)"

const variables = {
  publicUrl: variable(
    "PUBLIC_URL",
    "https://relay.example.com",
    Values.withDefault("http://localhost:3721", Values.publicUrl)
  ),
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
    Values.withDefault("http://127.0.0.1:3801", Values.url(["http:", "https:"]))
  ),
  internalKey: variable("INTERNAL_KEY", keyExample, Values.required(Values.internalKey)),
  databaseUrl: variable(
    "DATABASE_URL",
    "postgres://relay:secret@db/relay",
    Values.withDefault("sqlite:.edge-relay/edge-relay.db", Values.databaseUrl)
  ),
  redisUrl: variable("REDIS_URL", "redis://127.0.0.1:6379", Values.optional(Values.redisUrl)),
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
  scopes: variable(
    "OIDC_SCOPES",
    "openid profile email",
    Values.withDefault("openid profile email", Values.scopes)
  ),
  tenantClaim: variable("OIDC_TENANT_CLAIM", "org_id", Values.optional(Values.text)),
  serviceClientId: variable("OIDC_SERVICE_CLIENT_ID", "edge-relay-service", Values.optional(Values.text)),
  serviceClientSecret: variable(
    "OIDC_SERVICE_CLIENT_SECRET",
    "from-the-provider",
    Values.optional(Values.secret)
  ),
  trustedProxies: variable("TRUSTED_PROXIES", "10.0.0.0/8", Values.optional(Values.addresses)),
  logLevel: variable(
    "LOG_LEVEL",
    "info",
    Values.withDefault("info", Values.oneOf("Debug", "Info", "Warn", "Error"))
  ),
  logFormat: variable("LOG_FORMAT", "json", Values.optional(Values.oneOf("json", "pretty"))),
  drainSeconds: variable("DRAIN_SECONDS", "30", Values.withDefault("30", Values.wholeNumber(0, 3600))),
  auditDays: variable("AUDIT_DAYS", "90", Values.withDefault("90", Values.wholeNumber(1, 3650))),
  tracesEndpoint: variable(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "http://127.0.0.1:4318",
    Values.optional(Values.url(["http:", "https:"]))
  ),
  serviceName: variable(
    "OTEL_SERVICE_NAME",
    "edge-relay-api",
    Values.withDefault("edge-relay-api", Values.text)
  ),
  tracesShare: variable("OTEL_TRACES_SAMPLER_ARG", "0.1", Values.withDefault("1", Values.share))
}

const read = Effect.gen(function* () {
  const found = yield* Effect.all(variables)
  const outcomes: ReadonlyArray<Result.Result<unknown, Fault>> = Object.values(found)
  const faults = outcomes.filter(Result.isFailure).map(({ failure }) => failure)
  const all = [...faults, ...contradictions(found)]
  if (all.length > 0) return yield* new BadConfiguration({ faults: all })
  const get = Result.getOrThrow
  const serviceClientId = get(found.serviceClientId)
  const serviceClientSecret = get(found.serviceClientSecret)
  const settings: Settings = {
    publicUrl: get(found.publicUrl),
    tunnelUrl: get(found.tunnelUrl),
    host: get(found.host),
    port: get(found.port),
    internalHost: get(found.internalHost),
    internalPort: get(found.internalPort),
    proxyInternalUrl: get(found.proxyInternalUrl),
    internalKey: get(found.internalKey),
    databaseUrl: get(found.databaseUrl),
    redisUrl: get(found.redisUrl),
    sessionKeys: get(found.sessionKeys),
    sessionIdleHours: get(found.sessionIdleHours),
    sessionMaxHours: get(found.sessionMaxHours),
    oidc: {
      issuer: get(found.issuer),
      clientId: get(found.clientId),
      clientSecret: get(found.clientSecret),
      scopes: get(found.scopes),
      tenantClaim: get(found.tenantClaim),
      service:
        serviceClientId === undefined || serviceClientSecret === undefined
          ? undefined
          : { clientId: serviceClientId, clientSecret: serviceClientSecret }
    },
    trustedProxies: get(found.trustedProxies) ?? [],
    logLevel: get(found.logLevel),
    logFormat: get(found.logFormat) ?? (process.stdout.isTTY ? "pretty" : "json"),
    drainSeconds: get(found.drainSeconds),
    auditDays: get(found.auditDays),
    tracing: {
      endpoint: get(found.tracesEndpoint),
      serviceName: get(found.serviceName),
      share: get(found.tracesShare)
    }
  }
  return settings
})

/** What each variable alone cannot show. */
const contradictions = (found: {
  readonly publicUrl: Result.Result<URL, Fault>
  readonly issuer: Result.Result<URL, Fault>
  readonly serviceClientId: Result.Result<string | undefined, Fault>
  readonly serviceClientSecret: Result.Result<unknown, Fault>
}): ReadonlyArray<Fault> => {
  const faults: Array<Fault> = []
  const [id, secretOf] = [
    Result.getOrUndefined(found.serviceClientId),
    Result.getOrUndefined(found.serviceClientSecret)
  ]
  if ((id === undefined) !== (secretOf === undefined)) {
    faults.push({
      variable: id === undefined ? "OIDC_SERVICE_CLIENT_ID" : "OIDC_SERVICE_CLIENT_SECRET",
      problem: "is required with its other half, or neither",
      example: id === undefined ? "edge-relay-service" : "from-the-provider"
    })
  }
  const issuerUrl = Result.getOrUndefined(found.issuer)
  if (issuerUrl?.protocol === "http:" && Result.getOrUndefined(found.publicUrl)?.protocol === "https:") {
    faults.push({
      variable: "OIDC_ISSUER",
      problem: "must be https where PUBLIC_URL is",
      example: "https://login.example.com"
    })
  }
  return faults
}
