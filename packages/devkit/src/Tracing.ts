import * as Tracing from "@edge-relay/server-kit/Tracing"
import { Config, Effect, Layer, Option, Schema } from "effect"

/** `OTEL_EXPORTER_OTLP_ENDPOINT` is not where a collector could be. */
export class NotACollector extends Schema.TaggedError<NotACollector>()("NotACollector", {}) {
  override get message(): string {
    return "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL that begins with http:// or https://, e.g. http://127.0.0.1:4318"
  }
}

/** An empty variable counts as unset, as for the servers. */
const variable = (name: string) =>
  Effect.map(
    Effect.orElseSucceed(Config.option(Config.String(name)), Option.none),
    (text) => Option.getOrUndefined(text) || undefined
  )

/** Spans of the simulated edge, told where by the environment: its server goes on with the gateway's trace. */
export const layer = Layer.unwrap(
  Effect.gen(function* () {
    const text = yield* variable("OTEL_EXPORTER_OTLP_ENDPOINT")
    const endpoint = text === undefined ? undefined : (URL.parse(text) ?? undefined)
    if (text !== undefined && !/^https?:$/.test(endpoint?.protocol ?? "")) return yield* new NotACollector()
    const serviceName = (yield* variable("OTEL_SERVICE_NAME")) ?? "simulated-edge"
    return Tracing.layer({ endpoint, serviceName })
  })
)
