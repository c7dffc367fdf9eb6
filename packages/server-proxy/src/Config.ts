import * as CommonSettings from "@edge-relay/server-kit/CommonSettings"
import { type Fault, read, variable } from "@edge-relay/server-kit/Environment"
import * as Values from "@edge-relay/server-kit/EnvironmentValues"
import { Context, Effect, Layer } from "effect"
import { hostname } from "node:os"

/** What the proxy is told by its environment, read once. */

export interface Settings extends CommonSettings.CommonSettings {
  readonly tunnelHost: string
  readonly tunnelPort: number
  readonly internalHost: string
  readonly internalPort: number
  /** What this proxy announces to the others: where its internal port is. */
  readonly proxyInternalUrl: string
  /** First-generation clients send their token in the query. */
  readonly acceptQueryToken: boolean
  readonly maxSessions: number
  readonly maxStreams: number
  readonly heartbeatMillis: number
  readonly silenceMillis: number
  readonly handshakeMillis: number
  readonly drainMillis: number
  /** Names this process in lists and logs. */
  readonly proxyId: string
  readonly tracing: {
    /** A collector's base URL; undefined: nothing is traced. */
    readonly endpoint: URL | undefined
    readonly serviceName: string
  }
}

export class Config extends Context.Service<Config, Settings>()("@edge-relay/server-proxy/Config") {
  static readonly layer = Layer.effect(
    Config,
    Effect.suspend(() => settings)
  )
}

const variables = {
  ...CommonSettings.variables,
  tunnelHost: variable("TUNNEL_HOST", "0.0.0.0", Values.withDefault("127.0.0.1", Values.host)),
  tunnelPort: variable("TUNNEL_PORT", "3800", Values.withDefault("3800", Values.port)),
  internalHost: variable("INTERNAL_HOST", "10.0.0.7", Values.withDefault("127.0.0.1", Values.host)),
  internalPort: variable("INTERNAL_PORT", "3801", Values.withDefault("3801", Values.port)),
  proxyInternalUrl: variable(
    "PROXY_INTERNAL_URL",
    "http://10.0.0.7:3801",
    Values.withDefault("http://127.0.0.1:3801", Values.internalUrl)
  ),
  queryToken: variable(
    "TUNNEL_QUERY_TOKEN",
    "false",
    Values.withDefault("true", Values.oneOf("true", "false"))
  ),
  maxSessions: variable(
    "MAX_SESSIONS",
    "20000",
    Values.withDefault("20000", Values.wholeNumber(1, 1_000_000))
  ),
  maxStreams: variable("MAX_STREAMS", "1024", Values.withDefault("1024", Values.wholeNumber(2, 1_000_000))),
  heartbeatMillis: variable("HEARTBEAT_SECONDS", "15", Values.withDefault("15", Values.seconds(0.01, 3600))),
  silenceMillis: variable("SILENCE_SECONDS", "45", Values.withDefault("45", Values.seconds(0.1, 3600))),
  handshakeMillis: variable("HANDSHAKE_SECONDS", "10", Values.withDefault("10", Values.seconds(0.1, 600))),
  drainMillis: variable("DRAIN_SECONDS", "30", Values.withDefault("30", Values.seconds(0, 3600))),
  proxyId: variable("PROXY_ID", "proxy-a", Values.withDefault(`${hostname()}-${process.pid}`, Values.text)),
  serviceName: variable(
    "OTEL_SERVICE_NAME",
    "edge-relay-proxy",
    Values.withDefault("edge-relay-proxy", Values.text)
  )
}

const settings = Effect.map(
  Effect.suspend(() => read(variables, contradictions)),
  ({ proxyInternalUrl, queryToken, tracesEndpoint, serviceName, ...found }): Settings => ({
    ...found,
    proxyInternalUrl: proxyInternalUrl.origin,
    acceptQueryToken: queryToken === "true",
    ...CommonSettings.defaults(found),
    tracing: { endpoint: tracesEndpoint, serviceName }
  })
)

const contradictions = ({
  heartbeatMillis,
  silenceMillis
}: {
  readonly heartbeatMillis?: number
  readonly silenceMillis?: number
}): ReadonlyArray<Fault> =>
  heartbeatMillis === undefined || silenceMillis === undefined || silenceMillis >= 2 * heartbeatMillis
    ? []
    : [{ variable: "SILENCE_SECONDS", problem: "must be twice HEARTBEAT_SECONDS at least", example: "45" }]
