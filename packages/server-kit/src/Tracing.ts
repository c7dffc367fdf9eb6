import { Clock, ConfigProvider, type Duration, Effect, Layer, Option, Random, Schedule, Tracer } from "effect"
import { FetchHttpClient, Headers, HttpClient, HttpTraceContext, UrlParams } from "effect/http"
import { OtlpExporter, OtlpSerialization, OtlpTracer } from "effect/observability"

/**
 * Spans to an OpenTelemetry collector, over OTLP/HTTP in JSON, and the header that joins one process's spans to the
 * next one's (W3C Trace Context). A collector that is slow or away costs spans, never a request: what waits for it is
 * bounded, and past the bound it is left alone for a minute.
 */

export interface TracingOptions {
  /** The collector's base URL, e.g. `http://127.0.0.1:4318`; undefined: nothing is traced. */
  readonly endpoint: URL | undefined
  readonly serviceName: string
  /** Which part, from 0 to 1, is traced of the requests that come without a `traceparent`; all by default. */
  readonly share?: number
  /** How long spans are gathered before they are sent. */
  readonly exportInterval?: Duration.Input
}

/** The tracer, where its spans go anywhere. Undefined: whoever would make spans by hand can spare itself the work. */
export const tracer: Effect.Effect<Tracer.Tracer | undefined> = Effect.map(Tracer.Tracer, (tracer) =>
  tracer === Tracer.nativeTracer ? undefined : tracer
)

/** What a `traceparent` header says; none where it says nothing, and a new trace begins. */
export const parentOf = (traceparent: string | undefined): Option.Option<Tracer.ExternalSpan> =>
  traceparent === undefined ? Option.none() : HttpTraceContext.w3c(Headers.fromRecordUnsafe({ traceparent }))

/** The value of `traceparent` that makes the next one's spans children of this one. */
export const traceparentOf = ({ traceId, spanId, sampled }: Tracer.AnySpan): string =>
  `00-${traceId.padStart(32, "0")}-${spanId}-${sampled ? "01" : "00"}`

/** Of the span that this is run in; undefined where nothing is traced. */
export const traceparent: Effect.Effect<string | undefined> = Effect.flatMap(tracer, (tracer) =>
  tracer === undefined
    ? Effect.undefined
    : Effect.match(Effect.currentSpan, { onSuccess: traceparentOf, onFailure: () => undefined })
)

/** Installs the tracer for everything above it. */
export const layer = ({
  endpoint,
  serviceName,
  share = 1,
  exportInterval = "1 second"
}: TracingOptions): Layer.Layer<never> =>
  endpoint === undefined
    ? Layer.empty
    : Layer.effect(
        Tracer.Tracer,
        Effect.gen(function* () {
          const random = yield* Random.Random
          const exported = yield* OtlpTracer.make({
            url: tracesUrl(endpoint),
            resource: { serviceName },
            exportInterval,
            maxBatchSize,
            shutdownTimeout: shutdownMillis
          })
          return sampling(exported, () => random.nextDoubleUnsafe() < share)
        }).pipe(
          // The options say it all: what is told by the environment is the binaries' to read.
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({}))
        )
      ).pipe(
        Layer.provide(OtlpExporter.layerFlusher),
        Layer.provide(OtlpSerialization.layerJson),
        Layer.provide(layerClient),
        Layer.merge(layerNoQueries)
      )

/** Queries hold what is nobody else's: a sign-in's code and state, an edge's own secrets. Their names may be seen. */
const layerNoQueries = Layer.succeed(UrlParams.CurrentRedactedNames, [/^/])

/** OTLP 1.x, "Endpoint URLs for OTLP/HTTP": the signal's path goes behind whatever path the base has. */
const tracesUrl = (endpoint: URL): string => {
  const url = new URL(endpoint)
  url.pathname = `${url.pathname.replace(/\/$/, "")}/v1/traces`
  return url.href
}

/**
 * Parents decide for their children. A trace begins with a request, or with what is asked of a server by a request:
 * what a server does by itself, every second for ever, is nobody's trace.
 */
const sampling = (tracer: Tracer.Tracer, isChosen: () => boolean): Tracer.Tracer =>
  Tracer.make({
    span: (options) => {
      const isUnwanted =
        options.sampled && Option.isNone(options.parent) && !(options.kind === "server" && isChosen())
      return tracer.span(isUnwanted ? { ...options, sampled: false } : options)
    }
  })

/** Some half a megabyte of JSON. */
const maxBatchSize = 512
/** Batches that wait for the collector; with them, some 5,000 spans are in memory at the most. */
const maxWaiting = 8
/** A collector answers within milliseconds, or is overloaded. */
const answerMillis = 3000
/** For a collector that is being restarted. */
const retryMillis = 1000
/** The exporter's own, after a failure. */
const pauseMillis = 60_000
/** The last spans are worth a moment, but a stop does not wait for a collector that is gone. */
const shutdownMillis = 1000

/** The exporter's way out. It would hold as many batches as come and wait for ever: here both have a bound. */
const layerClient = Layer.effect(
  HttpClient.HttpClient,
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
    let waiting = 0
    let warnedAt = Number.NEGATIVE_INFINITY

    const warn = (detail: string) =>
      Effect.suspend(() => {
        const now = clock.currentTimeMillisUnsafe()
        if (now - warnedAt < pauseMillis) return Effect.void
        warnedAt = now
        return Effect.logWarning("traces are lost: the collector does not take them").pipe(
          Effect.annotateLogs({ detail })
        )
      })

    return HttpClient.transform(client, (sending, { url }) => {
      const sent = sending.pipe(
        // All of the answer: a body that never ends would be waited for too.
        Effect.tap(({ arrayBuffer }) => arrayBuffer),
        Effect.timeout(answerMillis),
        Effect.retry({ times: 1, schedule: Schedule.spaced(retryMillis) }),
        Effect.tapError((error) => warn(`${url}: ${error.message}`)),
        // The exporter tries a failure again for as long as it likes, and gives up at a defect.
        Effect.orDie,
        Effect.ensuring(Effect.sync(() => waiting--))
      )
      return Effect.suspend(() => {
        if (waiting >= maxWaiting) {
          return Effect.andThen(warn(`${url}: too slow`), Effect.die(new Error("too many batches wait")))
        }
        waiting++
        return sent
      })
    })
  })
).pipe(Layer.provide(FetchHttpClient.layer))
