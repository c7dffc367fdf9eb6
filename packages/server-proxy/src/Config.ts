import { BlockList, isIP } from "node:net"
import { hostname } from "node:os"
import { Config as Env, Context, Effect, Layer, Option, Redacted, Result, Schema } from "effect"

/**
 * What the proxy is told by its environment, read once. Every fault is found before any is reported, so that a new
 * installation is put right in one go. A variable that is empty counts as unset.
 */

/** What is wrong with one variable. The value is not in it: it could be a secret. */
const Fault = Schema.Struct({ variable: Schema.String, problem: Schema.String, example: Schema.String })
type Fault = typeof Fault.Type

/** The environment does not say what it must. Exit status 78 (`EX_CONFIG`, sysexits.h). */
export class BadConfiguration extends Schema.TaggedError<BadConfiguration>()("BadConfiguration", {
  faults: Schema.Array(Fault)
}) {
  override get message(): string {
    const lines = this.faults.map(
      ({ variable, problem, example }) => `  ${variable} ${problem}, e.g. ${variable}=${example}`
    )
    return `the configuration has ${lines.length === 1 ? "a fault" : `${lines.length} faults`}:\n${lines.join("\n")}`
  }
}

export interface Settings {
  readonly tunnelHost: string
  readonly tunnelPort: number
  readonly internalHost: string
  readonly internalPort: number
  /** What this proxy announces to the others: where its internal port is. */
  readonly proxyInternalUrl: string
  readonly internalKey: Redacted.Redacted<string>
  readonly databaseUrl: Redacted.Redacted<string>
  readonly redisUrl: Redacted.Redacted<string> | undefined
  /** First-generation clients send their token in the query. */
  readonly acceptQueryToken: boolean
  /** Whose `X-Forwarded-For` counts. */
  readonly trustedProxies: BlockList | undefined
  readonly maxSessions: number
  readonly maxStreams: number
  readonly heartbeatMillis: number
  readonly silenceMillis: number
  readonly handshakeMillis: number
  readonly drainMillis: number
  /** Names this process in lists and logs. */
  readonly proxyId: string
  readonly logLevel: "Debug" | "Info" | "Warn" | "Error"
  readonly logFormat: "json" | "pretty"
  readonly tracing: {
    /** A collector's base URL; undefined: nothing is traced. */
    readonly endpoint: URL | undefined
    readonly serviceName: string
  }
}

export class Config extends Context.Service<Config, Settings>()("@edge-relay/server-proxy/Config") {
  static readonly layer = Layer.effect(
    Config,
    Effect.suspend(() => read)
  )
}

type Parse<A> = (text: string) => Result.Result<A, string>

interface Variable<A> {
  readonly example: string
  /** In the place of a variable that is unset; without one it is required. */
  readonly fallback?: string
  readonly parse: Parse<A>
}

const text: Parse<string> = Result.succeed

const matching =
  (pattern: RegExp, problem: string): Parse<string> =>
  (value) =>
    pattern.test(value) ? Result.succeed(value) : Result.fail(problem)

const wholeNumber =
  (least: number, most: number): Parse<number> =>
  (value) =>
    /^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most
      ? Result.succeed(Number(value))
      : Result.fail(`must be a whole number from ${least} to ${most}`)

const seconds =
  (least: number, most: number): Parse<number> =>
  (value) => {
    const number = /^\d{1,9}(\.\d{1,3})?$/.test(value) ? Number(value) : Number.NaN
    return number >= least && number <= most
      ? Result.succeed(number * 1000)
      : Result.fail(`must be a number of seconds from ${least} to ${most}`)
  }

const oneOf =
  <const A extends string>(...values: ReadonlyArray<A>): Parse<A> =>
  (value) => {
    const found = values.find((one) => one.toLowerCase() === value.toLowerCase())
    return found === undefined ? Result.fail(`must be one of ${values.join(", ")}`) : Result.succeed(found)
  }

const host: Parse<string> = (value) =>
  isIP(value) !== 0 || /^[a-z\d]([a-z\d.-]{0,252})$/i.test(value)
    ? Result.succeed(value)
    : Result.fail("must be an address or a host name")

const httpUrl: Parse<URL> = (value) => {
  const url = URL.parse(value)
  return url !== null && (url.protocol === "http:" || url.protocol === "https:")
    ? Result.succeed(url)
    : Result.fail("must be a URL that begins with http:// or https://")
}

/** An origin: whoever dials adds the path. */
const httpOrigin: Parse<string> = (value) => {
  const url = URL.parse(value)
  return url?.protocol === "http:" && url.pathname === "/" && url.search === ""
    ? Result.succeed(url.origin)
    : Result.fail("must be a URL that begins with http://, without a path")
}

const key: Parse<Redacted.Redacted<string>> = (value) =>
  Buffer.byteLength(value) >= 32
    ? Result.succeed(Redacted.make(value))
    : Result.fail("must be 32 bytes at least")

const secret =
  (pattern: RegExp, problem: string): Parse<Redacted.Redacted<string>> =>
  (value) =>
    Result.map(matching(pattern, problem)(value), (matched) => Redacted.make(matched))

const optional =
  <A>(parse: Parse<A>): Parse<A | undefined> =>
  (value) =>
    value === "" ? Result.succeed(undefined) : parse(value)

const addresses: Parse<BlockList> = (value) => {
  const list = new BlockList()
  for (const entry of value.split(",").map((part) => part.trim())) {
    const [address = "", prefix, ...rest] = entry.split("/")
    const family = isIP(address) === 6 ? "ipv6" : "ipv4"
    const bits = Number(prefix ?? 0)
    const isGood = isIP(address) !== 0 && rest.length === 0 && bits <= (family === "ipv6" ? 128 : 32)
    if (!isGood || !/^\d{0,3}$/.test(prefix ?? "")) {
      return Result.fail("must be addresses or subnets, separated by commas")
    }
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, bits, family)
  }
  return Result.succeed(list)
}

const port = wholeNumber(0, 65_535)

const variables = {
  TUNNEL_HOST: { example: "0.0.0.0", fallback: "127.0.0.1", parse: host },
  TUNNEL_PORT: { example: "3800", fallback: "3800", parse: port },
  INTERNAL_HOST: { example: "10.0.0.7", fallback: "127.0.0.1", parse: host },
  INTERNAL_PORT: { example: "3801", fallback: "3801", parse: port },
  PROXY_INTERNAL_URL: {
    example: "http://10.0.0.7:3801",
    fallback: "http://127.0.0.1:3801",
    parse: httpOrigin
  },
  INTERNAL_KEY: { example: "$(openssl rand -base64 32)", parse: key },
  DATABASE_URL: {
    example: "postgres://relay:secret@db/relay",
    fallback: "sqlite:.edge-relay/edge-relay.db",
    parse: secret(/^(sqlite:.+|postgres(ql)?:\/\/.+)/, "must begin with sqlite: or postgres://")
  },
  REDIS_URL: {
    example: "redis://127.0.0.1:6379",
    fallback: "",
    parse: optional(secret(/^rediss?:\/\/.+/, "must begin with redis:// or rediss://"))
  },
  TUNNEL_QUERY_TOKEN: { example: "false", fallback: "true", parse: oneOf("true", "false") },
  TRUSTED_PROXIES: { example: "10.0.0.0/8", fallback: "", parse: optional(addresses) },
  MAX_SESSIONS: { example: "20000", fallback: "20000", parse: wholeNumber(1, 1_000_000) },
  MAX_STREAMS: { example: "1024", fallback: "1024", parse: wholeNumber(2, 1_000_000) },
  HEARTBEAT_SECONDS: { example: "15", fallback: "15", parse: seconds(0.01, 3600) },
  SILENCE_SECONDS: { example: "45", fallback: "45", parse: seconds(0.1, 3600) },
  HANDSHAKE_SECONDS: { example: "10", fallback: "10", parse: seconds(0.1, 600) },
  DRAIN_SECONDS: { example: "30", fallback: "30", parse: seconds(0, 3600) },
  PROXY_ID: { example: "proxy-a", fallback: `${hostname()}-${process.pid}`, parse: text },
  LOG_LEVEL: { example: "info", fallback: "info", parse: oneOf("Debug", "Info", "Warn", "Error") },
  LOG_FORMAT: { example: "json", fallback: "", parse: optional(oneOf("json", "pretty")) },
  OTEL_EXPORTER_OTLP_ENDPOINT: { example: "http://127.0.0.1:4318", fallback: "", parse: optional(httpUrl) },
  OTEL_SERVICE_NAME: { example: "edge-relay-proxy", fallback: "edge-relay-proxy", parse: text }
} satisfies Record<string, Variable<unknown>>

type Variables = typeof variables
type Values = {
  readonly [Name in keyof Variables]: Result.Result.Success<ReturnType<Variables[Name]["parse"]>>
}

const readVariable = Effect.fnUntraced(function* <A>(
  name: string,
  { example, fallback, parse }: Variable<A>
) {
  // A source that cannot be read is one that does not have the variable.
  const given = yield* Effect.orElseSucceed(Env.option(Env.String(name)), Option.none)
  const found = Option.getOrUndefined(Option.filter(given, (value) => value !== "")) ?? fallback
  const parsed = found === undefined ? Result.fail("is required") : parse(found)
  return Result.mapError(parsed, (problem): Fault => ({ variable: name, problem, example }))
})

/** What each variable alone cannot show. */
const contradictions = ({
  HEARTBEAT_SECONDS: heartbeat,
  SILENCE_SECONDS: silence
}: Readonly<Record<string, Result.Result<unknown, Fault>>>): ReadonlyArray<Fault> => {
  const beats = Number(heartbeat && Result.getOrUndefined(heartbeat))
  const patience = Number(silence && Result.getOrUndefined(silence))
  if (!(patience < 2 * beats)) return []
  return [{ variable: "SILENCE_SECONDS", problem: "must be twice HEARTBEAT_SECONDS at least", example: "45" }]
}

const read = Effect.gen(function* () {
  const results = yield* Effect.all(
    Object.fromEntries(
      Object.entries(variables).map(([name, variable]) => [name, readVariable<unknown>(name, variable)])
    )
  )
  const faults = Object.values(results)
    .filter(Result.isFailure)
    .map(({ failure }) => failure)
  faults.push(...contradictions(results))
  if (faults.length > 0) return yield* new BadConfiguration({ faults })
  // Each is what the parser of its own name gave; fromEntries cannot say so.
  const values = Object.fromEntries(
    Object.entries(results).map(([name, result]) => [name, Result.getOrThrow(result)])
  ) as Values
  return {
    tunnelHost: values.TUNNEL_HOST,
    tunnelPort: values.TUNNEL_PORT,
    internalHost: values.INTERNAL_HOST,
    internalPort: values.INTERNAL_PORT,
    proxyInternalUrl: values.PROXY_INTERNAL_URL,
    internalKey: values.INTERNAL_KEY,
    databaseUrl: values.DATABASE_URL,
    redisUrl: values.REDIS_URL,
    acceptQueryToken: values.TUNNEL_QUERY_TOKEN === "true",
    trustedProxies: values.TRUSTED_PROXIES,
    maxSessions: values.MAX_SESSIONS,
    maxStreams: values.MAX_STREAMS,
    heartbeatMillis: values.HEARTBEAT_SECONDS,
    silenceMillis: values.SILENCE_SECONDS,
    handshakeMillis: values.HANDSHAKE_SECONDS,
    drainMillis: values.DRAIN_SECONDS,
    proxyId: values.PROXY_ID,
    logLevel: values.LOG_LEVEL,
    logFormat: values.LOG_FORMAT ?? (process.stdout.isTTY ? "pretty" : "json"),
    tracing: { endpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT, serviceName: values.OTEL_SERVICE_NAME }
  } satisfies Settings
})
