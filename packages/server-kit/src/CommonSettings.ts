import type { Redacted } from "effect"
import type { ForwardedHeader } from "./ClientAddress.ts"
import { keyExample, variable } from "./Environment.ts"
import * as Values from "./EnvironmentValues.ts"

/** What both servers are told by their environment. */
export interface CommonSettings {
  /** Of the internal ports of all servers. */
  readonly internalKey: Redacted.Redacted<string>
  /** `sqlite:PATH` or `postgres://…` */
  readonly databaseUrl: Redacted.Redacted<string>
  /** Undefined: this is the only server of its kind. */
  readonly redisUrl: Redacted.Redacted<string> | undefined
  /** Keeps apart the clusters that use one Redis. */
  readonly redisPrefix: string
  /** Whose word counts on where a request came from. */
  readonly trustedProxies: ReadonlyArray<string>
  /** The header that they write it in. */
  readonly forwardedHeader: ForwardedHeader
  readonly logLevel: "Debug" | "Info" | "Warn" | "Error"
  readonly logFormat: "json" | "pretty"
}

export const variables = {
  internalKey: variable("INTERNAL_KEY", keyExample, Values.required(Values.internalKey)),
  databaseUrl: variable(
    "DATABASE_URL",
    "postgres://relay:secret@db/relay",
    Values.withDefault("sqlite:.edge-relay/edge-relay.db", Values.databaseUrl)
  ),
  redisUrl: variable("REDIS_URL", "redis://127.0.0.1:6379", Values.optional(Values.redisUrl)),
  redisPrefix: variable("REDIS_PREFIX", "edge-relay", Values.withDefault("edge-relay", Values.keyPrefix)),
  trustedProxies: variable("TRUSTED_PROXIES", "10.0.0.0/8", Values.optional(Values.addresses)),
  forwardedHeader: variable(
    "FORWARDED_HEADER",
    "forwarded",
    Values.withDefault("x-forwarded-for", Values.oneOf("x-forwarded-for", "forwarded"))
  ),
  logLevel: variable(
    "LOG_LEVEL",
    "info",
    Values.withDefault("info", Values.oneOf("Debug", "Info", "Warn", "Error"))
  ),
  logFormat: variable("LOG_FORMAT", "json", Values.optional(Values.oneOf("json", "pretty"))),
  /** A collector's base URL; undefined: nothing is traced. */
  tracesEndpoint: variable(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "http://127.0.0.1:4318",
    Values.optional(Values.url(["http:", "https:"]))
  )
}

/** What is not a constant, where the environment says nothing. */
export const defaults = (found: {
  readonly trustedProxies: ReadonlyArray<string> | undefined
  readonly logFormat: "json" | "pretty" | undefined
}): Pick<CommonSettings, "trustedProxies" | "logFormat"> => ({
  trustedProxies: found.trustedProxies ?? [],
  logFormat: found.logFormat ?? (process.stdout.isTTY ? "pretty" : "json")
})
