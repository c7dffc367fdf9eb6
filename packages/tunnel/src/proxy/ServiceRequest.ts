import type { Duplex } from "node:stream"
import { Effect } from "effect"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import {
  DialError,
  EdgeBusy,
  EdgeRefused,
  EdgeReset,
  EdgeTimeout
} from "@edge-relay/domain/tunnels/DialError"
import {
  type DecodedRefusal,
  decodeRefusal,
  encodePreface,
  StatusByte
} from "@edge-relay/protocol/TunnelProtocol"

export interface ServiceRequest {
  readonly edgeId: EdgeId
  readonly service: string
  /** For an agent that reads it. */
  readonly requestId: string | undefined
  readonly timeoutMillis: number
}

/**
 * The opening of a v2 data stream, on the cloud's side: names the service, waits for the status byte, and gives
 * the stream back with nothing but the service's own bytes left to read. A stream that is not connected is reset.
 */
export const requestService = (stream: Duplex, request: ServiceRequest): Effect.Effect<Duplex, DialError> =>
  Effect.callback((resume) => {
    const { edgeId, requestId, service } = request
    let head: Buffer | null = null

    const settle = (result: Effect.Effect<Duplex, DialError>) => {
      clearTimeout(timer)
      stream.off("readable", onReadable)
      stream.off("end", onClose)
      stream.off("close", onClose)
      resume(result)
    }
    const fail = (reason: DialError["reason"]) => {
      settle(Effect.fail(new DialError({ reason })))
      stream.destroy()
    }
    const onClose = () => fail(new EdgeReset({ edgeId }))
    const onReadable = () => {
      // The one byte alone: what follows it, even an end, is for whoever takes the stream.
      head ??= stream.read(1)
      if (head === null) return
      if (head[0] === StatusByte.connected) return settle(Effect.succeed(stream))
      for (let chunk: Buffer | null = stream.read(); chunk !== null; chunk = stream.read()) {
        head = Buffer.concat([head, chunk])
      }
      const refused = decodeRefusal(head)
      if (refused !== undefined) fail(reasonOf(request, refused))
    }

    const timer = setTimeout(() => fail(new EdgeTimeout({ edgeId, service })), request.timeoutMillis)
    stream.on("readable", onReadable)
    stream.on("end", onClose)
    stream.on("close", onClose)
    stream.write(encodePreface(service, requestId))
    return Effect.sync(() => {
      clearTimeout(timer)
      stream.destroy()
    })
  })

const reasonOf = (
  { edgeId, service }: ServiceRequest,
  { refusal, reason }: DecodedRefusal
): DialError["reason"] => {
  // A status that the protocol does not know is as good as a stream that broke off.
  if (refusal === "unknown") return new EdgeReset({ edgeId })
  if (refusal === "busy") return new EdgeBusy({ edgeId, detail: reason })
  return new EdgeRefused({ edgeId, service, refusal, detail: reason })
}
