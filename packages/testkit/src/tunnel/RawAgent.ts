import { request as httpRequest } from "node:http"
import { Effect } from "effect"
import { WebSocket } from "ws"
import { Session } from "@edge-relay/yamux/Session"
import type { Stream } from "@edge-relay/yamux/Stream"
import { WebSocketTransport } from "@edge-relay/tunnel/websocket/WebSocketTransport"

/** An agent by hand: what a test makes it say, and what the cloud said to it. */
export interface RawAgent {
  readonly webSocket: WebSocket
  readonly session: Session
  readonly control: Stream | undefined
  /** Of the control stream, in order. */
  readonly messages: Array<{ readonly [key: string]: unknown }>
  /** Streams that the cloud opened. */
  readonly streams: Array<Stream>
  readonly goAways: Array<number>
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
}

export interface RawAgentOptions {
  readonly token?: string
  readonly protocols?: ReadonlyArray<string>
  readonly hello?: string
  readonly headers?: Record<string, string>
  readonly path?: string
  readonly localAddress?: string
}

export const hello = `${JSON.stringify({
  type: "hello",
  agent: "raw/1",
  hostname: "box",
  os: "linux",
  arch: "x64",
  services: [{ name: "http" }, { name: "ssh" }]
})}\n`

/** Connects and, in v2, says hello. Fails with the HTTP answer that came in place of the upgrade. */
export const connectRaw = (url: string, options: RawAgentOptions = {}) =>
  Effect.acquireRelease(
    Effect.callback<RawAgent, Refused>((resume) => {
      const { token = "ert_1", protocols = ["edge-relay.v2"], path = "/tunnel/connect" } = options
      const webSocket = new WebSocket(`${url}${path}`, [...protocols], {
        headers: { ...(token !== "" && { Authorization: `Bearer ${token}` }), ...options.headers },
        ...(options.localAddress !== undefined && { localAddress: options.localAddress }),
        perMessageDeflate: false,
        maxPayload: WebSocketTransport.maxPayload
      })
      const closed = new Promise<{ code: number; reason: string }>((resolve) =>
        webSocket.on("close", (code, reason) => resolve({ code, reason: reason.toString() }))
      )
      webSocket.on("error", (error) => resume(Effect.die(error)))
      webSocket.on("unexpected-response", async (_request, response) => {
        let body = ""
        for await (const chunk of response.setEncoding("utf8")) body += chunk
        resume(
          Effect.fail({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(body) })
        )
      })
      webSocket.on("open", () => {
        const session = new Session("client", new WebSocketTransport(webSocket))
        const control = webSocket.protocol === "edge-relay.v2" ? session.open() : undefined
        const agent: RawAgent = {
          webSocket,
          session,
          control,
          messages: [],
          streams: [],
          goAways: [],
          closed
        }
        session.onStream = (stream) => agent.streams.push(stream)
        session.onGoAway = (code) => agent.goAways.push(code)
        if (control !== undefined) {
          let text = ""
          control.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk
            const lines = text.split("\n")
            text = lines.pop() ?? ""
            agent.messages.push(...lines.map((line) => JSON.parse(line)))
          })
          control.write(options.hello ?? hello)
        }
        resume(Effect.succeed(agent))
      })
    }),
    ({ webSocket }) => Effect.sync(() => webSocket.terminate())
  )

export interface Refused {
  readonly status: number
  readonly headers: Record<string, string | Array<string> | undefined>
  readonly body: { readonly [key: string]: unknown }
}

export const get = (url: string): Promise<Refused> =>
  new Promise((resolve, reject) => {
    httpRequest(url, async (response) => {
      let body = ""
      for await (const chunk of response.setEncoding("utf8")) body += chunk
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(body) })
    })
      .on("error", reject)
      .end()
  })
