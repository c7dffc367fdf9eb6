/** The plainest HTTP client there can be: what an edge answers reaches the checks as bytes, undecoded. */
import { Cause, Context, Effect, Layer, Queue, type Scope, Stream } from "effect"
import { request as httpRequest } from "node:http"
import { request as httpsRequest } from "node:https"
import { Agent, request } from "undici"
import { WebSocket } from "ws"
import { Differs } from "./Report.ts"

export interface Ask {
  readonly method: string
  /** Beneath the edge's URL, with its query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
}

export interface Head {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
}

export interface Answer extends Head {
  readonly body: Uint8Array
}

/** How long an answer may take, and how long a stream may be silent. */
const patienceMillis = 15_000

export class ConformanceClient extends Context.Service<
  ConformanceClient,
  {
    readonly ask: (ask: Ask) => Effect.Effect<Answer, Differs>
    /** The header, and then the body as it comes; closing the scope closes the connection. */
    readonly open: (
      ask: Ask
    ) => Effect.Effect<Head & { readonly bytes: Stream.Stream<Uint8Array, Differs> }, Differs, Scope.Scope>
    /** Announces a body of `length` bytes and sends none of it. */
    readonly announce: (ask: Ask, length: number) => Effect.Effect<Answer, Differs>
    /** The text messages of a WebSocket. */
    readonly messages: (path: string) => Stream.Stream<string, Differs>
  }
>()("@edge-relay/conformance/EdgeClient") {
  /** `sent` goes with every request: what lets it through to an edge that is asked through the cloud. */
  static readonly layer = (url: string, sent: Readonly<Record<string, string>> = {}) =>
    Layer.effect(
      ConformanceClient,
      Effect.gen(function* () {
        const base = url.replace(/\/+$/, "")
        const agent = yield* Effect.acquireRelease(
          Effect.sync(() => new Agent({ headersTimeout: patienceMillis, bodyTimeout: patienceMillis })),
          (agent) => Effect.promise(() => agent.destroy())
        )

        const open = Effect.fn("ConformanceClient.open")(function* ({ method, path, headers, body }: Ask) {
          const response = yield* Effect.acquireRelease(
            Effect.tryPromise({
              try: (signal) =>
                request(`${base}${path}`, {
                  dispatcher: agent,
                  // undici names the methods it knows; any token is a method.
                  method: method as "GET",
                  headers: { ...sent, ...headers },
                  body: body ?? null,
                  signal
                }),
              catch: broken
            }),
            (response) =>
              Effect.sync(() => {
                response.body.on("error", () => {})
                response.body.destroy()
              })
          )
          return {
            status: response.statusCode,
            headers: flat(response.headers),
            bytes: Stream.fromAsyncIterable<Uint8Array, Differs>(response.body, broken)
          }
        })

        const ask = Effect.fn("ConformanceClient.ask")(function* (ask: Ask) {
          const { bytes, ...head } = yield* open(ask)
          return { ...head, body: Buffer.concat(yield* Stream.runCollect(bytes)) }
        }, Effect.scoped)

        const announce = Effect.fn("ConformanceClient.announce")((ask: Ask, length: number) =>
          Effect.callback<Answer, Differs>((resume) => {
            const start = base.startsWith("https:") ? httpsRequest : httpRequest
            const outgoing = start(`${base}${ask.path}`, {
              method: ask.method,
              headers: { ...sent, ...ask.headers, "content-length": length },
              timeout: patienceMillis
            })
            outgoing.on("response", (incoming) => {
              const chunks: Array<Buffer> = []
              incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
              incoming.on("end", () => {
                const head = { status: incoming.statusCode ?? 0, headers: flat(incoming.headers) }
                resume(Effect.succeed({ ...head, body: Buffer.concat(chunks) }))
                outgoing.destroy()
              })
            })
            outgoing.on("timeout", () => outgoing.destroy(new Error("no answer to the header of a request")))
            outgoing.on("error", (cause) => resume(Effect.fail(broken(cause))))
            outgoing.flushHeaders()
            return Effect.sync(() => outgoing.destroy())
          })
        )

        const messages = (path: string) =>
          Stream.callback<string, Differs>((queue) =>
            Effect.acquireRelease(
              Effect.sync(() => {
                const fail = (error: Differs) => Queue.failCauseUnsafe(queue, Cause.fail(error))
                const socket = new WebSocket(`${base.replace(/^http/, "ws")}${path}`, {
                  handshakeTimeout: patienceMillis,
                  headers: { ...sent }
                })
                socket.on("message", (data, isBinary) => {
                  if (isBinary) fail(new Differs({ message: "a binary message" }))
                  else Queue.offerUnsafe(queue, String(data))
                })
                socket.on("error", (cause) => fail(broken(cause)))
                socket.on("close", () => Queue.endUnsafe(queue))
                return socket
              }),
              (socket) => Effect.sync(() => socket.terminate())
            )
          )

        return ConformanceClient.of({ ask, open, announce, messages })
      })
    )
}

const broken = (cause: unknown) =>
  new Differs({ message: `no whole answer: ${cause instanceof Error ? cause.message : String(cause)}` })

const flat = (headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value ?? ""].flat().join(", ")]))
