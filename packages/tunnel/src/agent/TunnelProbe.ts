import { TUNNEL_PATH } from "@edge-relay/protocol/TunnelProtocol"
import { Effect, Redacted } from "effect"
import { WebSocket } from "ws"
import { outboundProxy, type ProxyEnvironment } from "./OutboundProxy.ts"

/** How far a tunnel would come. */
export type ProbeResult =
  /** The WebSocket stands and the token is good. */
  | { readonly _tag: "accepted" }
  /** HTTP answered in place of a WebSocket. */
  | { readonly _tag: "refused"; readonly status: number }
  | { readonly _tag: "failed"; readonly error: Error }

/**
 * Dials as an agent does and hangs up before its hello: a tunnel counts from that on, so that an agent that is
 * connected with the same token is not displaced. Throws ProxyUnusable.
 */
export const probe = (options: {
  /** As the agent is given it, with the tunnel's path or without. */
  readonly url: URL
  readonly token: Redacted.Redacted<string>
  readonly ca: ReadonlyArray<string> | undefined
  readonly environment: ProxyEnvironment
  readonly timeoutMillis: number
}): Effect.Effect<ProbeResult> =>
  Effect.callback((resume) => {
    const done = (result: ProbeResult) => {
      webSocket.terminate()
      resume(Effect.succeed(result))
    }
    const url = tunnelUrl(options.url.href)
    // The first generation's tunnels have no hello: those are not offered.
    const webSocket = new WebSocket(url, ["edge-relay.v2"], {
      headers: { Authorization: `Bearer ${Redacted.value(options.token)}` },
      perMessageDeflate: false,
      handshakeTimeout: options.timeoutMillis,
      agent: outboundProxy(url, options.environment),
      ...(options.ca === undefined ? {} : { ca: [...options.ca] })
    })
    webSocket.on("open", () => done({ _tag: "accepted" }))
    webSocket.on("unexpected-response", (_request, { statusCode = 0 }) =>
      done({ _tag: "refused", status: statusCode })
    )
    webSocket.on("error", (error) => done({ _tag: "failed", error }))
    return Effect.sync(() => webSocket.terminate())
  })

/** Where a cloud's tunnels are. */
export const tunnelUrl = (base: string): URL => {
  const url = new URL(base)
  if (!url.pathname.endsWith(TUNNEL_PATH)) url.pathname = url.pathname.replace(/\/+$/, "") + TUNNEL_PATH
  return url
}
