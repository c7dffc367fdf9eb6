import { Config as Env, Context, Effect, Layer, Option, Redacted, Result, Schema } from "effect"
import { isIP } from "node:net"

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
}

/** Takes the text of a variable; undefined where it is unset. Answers the value, or what is wrong with it. */
type Parse<A> = (text: string | undefined) => Result.Result<A, string>

/** A variable's value, or its fault. */
const variable = <A>(
  name: string,
  example: string,
  parse: Parse<A>
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

const required =
  <A>(parse: (text: string) => Result.Result<A, string>): Parse<A> =>
  (text) =>
    text === undefined ? Result.fail("is required") : parse(text)

const withDefault =
  <A>(value: string, parse: (text: string) => Result.Result<A, string>): Parse<A> =>
  (text) =>
    parse(text ?? value)

const optional =
  <A>(parse: (text: string) => Result.Result<A, string>): Parse<A | undefined> =>
  (text) =>
    text === undefined ? Result.succeed(undefined) : parse(text)

const text = (value: string): Result.Result<string, string> => Result.succeed(value)

const secret = (value: string): Result.Result<Redacted.Redacted<string>, string> =>
  Result.succeed(Redacted.make(value))

const wholeNumber =
  (minimum: number, maximum: number) =>
  (value: string): Result.Result<number, string> =>
    /^\d{1,9}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum
      ? Result.succeed(Number(value))
      : Result.fail(`must be a whole number from ${minimum} to ${maximum}`)

/** 0 is any free port, for tests. */
const port = wholeNumber(0, 65_535)

const oneOf =
  <const A extends string>(...values: ReadonlyArray<A>) =>
  (value: string): Result.Result<A, string> => {
    const found = values.find((one) => one.toLowerCase() === value.toLowerCase())
    return found === undefined ? Result.fail(`must be one of ${values.join(", ")}`) : Result.succeed(found)
  }

const url =
  (protocols: ReadonlyArray<string>) =>
  (value: string): Result.Result<URL, string> => {
    const parsed = URL.parse(value)
    if (parsed === null || !protocols.includes(parsed.protocol)) {
      return Result.fail(`must be a URL that begins with ${protocols.map((one) => `${one}//`).join(" or ")}`)
    }
    return parsed.hash === "" ? Result.succeed(parsed) : Result.fail("must be a URL without a fragment")
  }

const isLoopback = ({ hostname }: URL): boolean =>
  hostname === "localhost" ||
  hostname.endsWith(".localhost") ||
  hostname === "[::1]" ||
  hostname.startsWith("127.")

const publicUrl = (value: string): Result.Result<URL, string> =>
  Result.flatMap(url(["https:", "http:"])(value), (parsed) => {
    if (parsed.pathname !== "/" || parsed.search !== "" || parsed.username !== "") {
      return Result.fail("must be an origin: no path, query or user name")
    }
    // Without Secure, the session cookie would travel in the clear.
    return parsed.protocol === "https:" || isLoopback(parsed)
      ? Result.succeed(parsed)
      : Result.fail("must be https, except on localhost")
  })

/** OpenID Connect Discovery 1.0 §3: no query; http only for a provider on this machine. */
const issuer = (value: string): Result.Result<URL, string> =>
  Result.flatMap(url(["https:", "http:"])(value), (parsed) =>
    parsed.search === "" ? Result.succeed(parsed) : Result.fail("must be a URL without a query")
  )

const tunnelUrl = (value: string): Result.Result<string, string> =>
  Result.map(url(["wss:", "ws:"])(value), () => value)

const host = (value: string): Result.Result<string, string> =>
  isIP(value) !== 0 || /^[a-z\d]([a-z\d.-]{0,252})$/i.test(value)
    ? Result.succeed(value)
    : Result.fail("must be an address or a host name")

const databaseUrl = (value: string): Result.Result<Redacted.Redacted<string>, string> =>
  /^sqlite:.+/.test(value) || /^postgres(ql)?:\/\/.+/.test(value)
    ? Result.succeed(Redacted.make(value))
    : Result.fail("must begin with sqlite: or postgres://")

const redisUrl = (value: string): Result.Result<Redacted.Redacted<string>, string> =>
  Result.map(url(["redis:", "rediss:"])(value), () => Redacted.make(value))

/** As the cookie's HMAC wants them: 32 bytes at least (RFC 2104 §3). */
const sessionKeys = (value: string): Result.Result<ReadonlyArray<Redacted.Redacted<Uint8Array>>, string> => {
  const parts = value.split(",").map((part) => part.trim())
  if (!parts.every((part) => /^[A-Za-z\d+/_-]+={0,2}$/.test(part))) {
    return Result.fail("must be keys in base64, separated by commas")
  }
  const keys = parts.map((part) => new Uint8Array(Buffer.from(part, "base64")))
  return keys.every((key) => key.length >= 32)
    ? Result.succeed(keys.map((key) => Redacted.make(key)))
    : Result.fail("must hold keys of 32 bytes at least")
}

const internalKey = (value: string): Result.Result<Redacted.Redacted<string>, string> =>
  Buffer.byteLength(value) >= 32 ? secret(value) : Result.fail("must be 32 bytes at least")

const addresses = (value: string): Result.Result<ReadonlyArray<string>, string> => {
  const entries = value.split(",").map((part) => part.trim())
  return entries.every(isAddressOrSubnet)
    ? Result.succeed(entries)
    : Result.fail("must be addresses or subnets, separated by commas")
}

const isAddressOrSubnet = (entry: string): boolean => {
  const [address = "", prefix, ...rest] = entry.split("/")
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32))
}

const scopes = (value: string): Result.Result<string, string> =>
  value.split(" ").includes("openid") ? Result.succeed(value) : Result.fail("must contain openid")

/** A random key, as an example to copy would be copied: these show the command instead. */
const keyExample = "$(openssl rand -base64 32)"

const variables = {
  publicUrl: variable(
    "PUBLIC_URL",
    "https://relay.example.com",
    withDefault("http://localhost:3721", publicUrl)
  ),
  tunnelUrl: variable(
    "TUNNEL_URL",
    "wss://tunnel.example.com",
    withDefault("ws://localhost:3800", tunnelUrl)
  ),
  host: variable("API_HOST", "0.0.0.0", withDefault("127.0.0.1", host)),
  port: variable("API_PORT", "3721", withDefault("3721", port)),
  internalHost: variable("API_INTERNAL_HOST", "0.0.0.0", withDefault("127.0.0.1", host)),
  internalPort: variable("API_INTERNAL_PORT", "3723", withDefault("3723", port)),
  proxyInternalUrl: variable(
    "PROXY_INTERNAL_URL",
    "http://127.0.0.1:3801",
    withDefault("http://127.0.0.1:3801", url(["http:", "https:"]))
  ),
  internalKey: variable("INTERNAL_KEY", keyExample, required(internalKey)),
  databaseUrl: variable(
    "DATABASE_URL",
    "postgres://relay:secret@db/relay",
    withDefault("sqlite:.edge-relay/edge-relay.db", databaseUrl)
  ),
  redisUrl: variable("REDIS_URL", "redis://127.0.0.1:6379", optional(redisUrl)),
  sessionKeys: variable("SESSION_KEYS", keyExample, required(sessionKeys)),
  sessionIdleHours: variable("SESSION_IDLE_HOURS", "8", withDefault("8", wholeNumber(1, 24 * 365))),
  sessionMaxHours: variable("SESSION_MAX_HOURS", "168", withDefault("168", wholeNumber(1, 24 * 365))),
  issuer: variable("OIDC_ISSUER", "https://login.example.com", required(issuer)),
  clientId: variable("OIDC_CLIENT_ID", "edge-relay", required(text)),
  clientSecret: variable("OIDC_CLIENT_SECRET", "from-the-provider", optional(secret)),
  scopes: variable("OIDC_SCOPES", "openid profile email", withDefault("openid profile email", scopes)),
  tenantClaim: variable("OIDC_TENANT_CLAIM", "org_id", optional(text)),
  serviceClientId: variable("OIDC_SERVICE_CLIENT_ID", "edge-relay-service", optional(text)),
  serviceClientSecret: variable("OIDC_SERVICE_CLIENT_SECRET", "from-the-provider", optional(secret)),
  trustedProxies: variable("TRUSTED_PROXIES", "10.0.0.0/8", optional(addresses)),
  logLevel: variable("LOG_LEVEL", "info", withDefault("info", oneOf("Debug", "Info", "Warn", "Error"))),
  logFormat: variable("LOG_FORMAT", "json", optional(oneOf("json", "pretty"))),
  drainSeconds: variable("DRAIN_SECONDS", "30", withDefault("30", wholeNumber(0, 3600))),
  auditDays: variable("AUDIT_DAYS", "90", withDefault("90", wholeNumber(1, 3650)))
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
    auditDays: get(found.auditDays)
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
