import { Effect, type Scope } from "effect"
import { createServer, type ServerResponse } from "node:http"

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string | undefined
  readonly name: string
  readonly kind: number
  readonly status: { readonly code: number; readonly message?: string }
  /** As the resource calls itself. */
  readonly service: string
  readonly attributes: ReadonlyMap<string, unknown>
}

interface Attribute {
  readonly key: string
  readonly value: { readonly [type: string]: unknown }
}

interface Traces {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<Attribute> }
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<
        Omit<ReceivedSpan, "attributes"> & { attributes: ReadonlyArray<Attribute> }
      >
    }>
  }>
}

const toMap = (attributes: ReadonlyArray<Attribute>) =>
  new Map(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

/** As much of an OpenTelemetry collector as takes traces over HTTP in JSON. */
export class TestCollector {
  readonly spans: Array<ReceivedSpan> = []
  readonly paths = new Set<string>()
  /** Everything that was sent, as it was sent. */
  text = ""
  /** What a request is answered: a status, or nothing until it gives up. */
  answer: number | "never" = 200
  requests = 0
  /** Requests that are waiting for an answer, and the most that there ever were. */
  open = 0
  mostOpen = 0
  readonly #server = createServer((request, response) => {
    this.requests++
    this.mostOpen = Math.max(this.mostOpen, ++this.open)
    response.once("close", () => this.open--)
    this.paths.add(`${request.method} ${request.url} ${request.headers["content-type"]}`)
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => this.#receive(Buffer.concat(parts).toString(), response))
  })

  static listen(): Promise<TestCollector> {
    return new Promise((resolve) => {
      const collector = new TestCollector()
      collector.#server.listen(0, "127.0.0.1", () => resolve(collector))
    })
  }

  static readonly start: Effect.Effect<TestCollector, never, Scope.Scope> = Effect.acquireRelease(
    Effect.promise(() => TestCollector.listen()),
    (collector) => Effect.sync(() => collector.stop())
  )

  get url(): URL {
    const address = this.#server.address()
    return new URL(`http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`)
  }

  /** Nobody listens there any more. */
  stop(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  #receive(text: string, response: ServerResponse): void {
    if (this.answer === "never") return
    if (this.answer === 200) {
      this.text += text
      // What an exporter sends; where it is not that, a test fails on it.
      const { resourceSpans } = JSON.parse(text) as Traces
      for (const { resource, scopeSpans } of resourceSpans) {
        const service = String(toMap(resource.attributes).get("service.name"))
        for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
          this.spans.push({ ...span, service, attributes: toMap(span.attributes) })
        }
      }
    }
    response.writeHead(this.answer, { "content-type": "application/json" }).end("{}")
  }
}
