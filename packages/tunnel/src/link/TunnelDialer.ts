import { Context, Effect, Layer, type Redacted } from "effect"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import {
  DialError,
  EdgeOffline,
  type EdgeStream,
  ProxyUnavailable
} from "@edge-relay/domain/tunnels/DialError"
import type { Dial } from "@edge-relay/protocol/LinkProtocol"
import { ProxyLink } from "./ProxyLink.ts"
import { SessionDirectory } from "../directory/SessionDirectory.ts"
import * as RequestId from "@edge-relay/server-kit/RequestId"
import * as Tracing from "@edge-relay/server-kit/Tracing"

/**
 * Opens a byte stream to a service of an edge, wherever in the cluster its tunnel is. What comes back carries
 * plain bytes: what opens a stream (preface, status byte) has been said and answered before.
 */

export class TunnelDialer extends Context.Service<
  TunnelDialer,
  {
    readonly open: (edgeId: EdgeId, service: string) => Effect.Effect<EdgeStream, DialError>
  }
>()("@edge-relay/tunnel/link/TunnelDialer") {
  /** Asks the proxy that holds the edge. Tunnels of this process are dialled by `TunnelServer.layerDialer`. */
  static readonly layerRemote = (options: {
    readonly internalKey: Redacted.Redacted<string>
    readonly timeoutMillis?: number
  }): Layer.Layer<TunnelDialer, never, SessionDirectory> => Layer.effect(TunnelDialer, makeRemote(options))
}

/** A proxy waits up to 15 seconds for the edge to connect its local service. */
const TIMEOUT_MILLIS = 20_000

const makeRemote = Effect.fnUntraced(function* ({
  internalKey,
  timeoutMillis = TIMEOUT_MILLIS
}: {
  readonly internalKey: Redacted.Redacted<string>
  readonly timeoutMillis?: number
}) {
  const directory = yield* SessionDirectory
  const links = new Map<string, ProxyLink>()
  yield* Effect.addFinalizer(() => Effect.sync(() => links.forEach((link) => link.close())))

  const linkTo = (proxyUrl: string): ProxyLink => {
    const known = links.get(proxyUrl)
    if (known !== undefined) return known
    const link = new ProxyLink({ proxyUrl, internalKey, timeoutMillis })
    links.set(proxyUrl, link)
    return link
  }

  const locate = (edgeId: EdgeId) =>
    directory.locate(edgeId).pipe(
      Effect.mapError((cause) => new ProxyUnavailable({ proxyUrl: "unknown", cause })),
      Effect.flatMap((found) =>
        Effect.fromOption(found).pipe(Effect.mapError(() => new EdgeOffline({ edgeId })))
      ),
      Effect.mapError((reason) => new DialError({ reason }))
    )

  return TunnelDialer.of({
    open: Effect.fn("TunnelDialer.open", { kind: "client" })(function* (edgeId, service) {
      const traceparent = yield* Tracing.traceparent
      const proxyUrl = yield* locate(edgeId)
      const requestId = yield* RequestId.Current
      const dial: Dial = {
        edgeId,
        service,
        ...(requestId === undefined ? {} : { requestId }),
        ...(traceparent === undefined ? {} : { traceparent })
      }
      const open = (proxyUrl: string) => linkTo(proxyUrl).open(dial)
      return yield* open(proxyUrl).pipe(
        Effect.catchIf(mayHaveMoved, (error) =>
          Effect.flatMap(locate(edgeId), (now) => (now === proxyUrl ? Effect.fail(error) : open(now)))
        )
      )
    })
  })
})

/** The edge may have gone to another proxy while it was asked for; nothing of the stream's own was sent yet. */
const mayHaveMoved = ({ reason }: DialError): boolean =>
  reason._tag === "EdgeOffline" || reason._tag === "EdgeReset" || reason._tag === "ProxyUnavailable"
