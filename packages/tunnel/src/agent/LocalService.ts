import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as PrefixedText from "@edge-relay/protocol/PrefixedText"
import { splice } from "../Splice.ts"
import { type LocalConnection, open, type ServiceTarget } from "./LocalConnection.ts"
import {
  DEFAULT_SERVICE,
  encodeConnected,
  encodeRefusal,
  type Refusal,
  splitPreface
} from "@edge-relay/protocol/TunnelProtocol"

/** The services of this edge by name. */
export type Services = ReadonlyMap<string, ServiceTarget>

export interface LocalServiceOptions {
  readonly services: Services
  /** For the preface to arrive, and then for the local service to take the connection. */
  readonly connectTimeoutMillis: number
  /** A local service has taken the connection that the stream asked for. */
  readonly onStream?: (service: string, stream: Duplex) => void
  /** A local service did not take a connection. */
  readonly onRefused?: (
    service: string,
    target: ServiceTarget,
    error: Error,
    requestId: string | undefined
  ) => void
}

/** A v2 data stream, on the edge's side: reads which service is wanted, connects it, says how that went. */
export const serve = (stream: Duplex, options: LocalServiceOptions): void => {
  const { connectTimeoutMillis: timeoutMillis } = options
  PrefixedText.read(stream, { maxBytes: MAX_PREFACE, timeoutMillis }, (text, failure) => {
    if (failure === "too_long") {
      return decline(stream, "noSuchService", `a service's name has at most ${MAX_NAME} bytes`)
    }
    if (text === undefined) return void stream.destroy()
    const { requestId, service: name } = splitPreface(text)
    if (Buffer.byteLength(name) > MAX_NAME) {
      return decline(stream, "noSuchService", `a service's name has at most ${MAX_NAME} bytes`)
    }
    const target = options.services.get(name)
    if (target === undefined) return decline(stream, "noSuchService", `no service ${JSON.stringify(name)}`)
    connectTarget(stream, target, timeoutMillis, {
      onConnected: (socket) => {
        options.onStream?.(name, stream)
        stream.write(encodeConnected())
        splice(stream, socket)
      },
      onFailed: (error) => {
        options.onRefused?.(name, target, error, requestId)
        decline(stream, refusalOf(error), error.message)
      }
    })
  })
}

/** A v1 stream goes to the one service that v1 has. It knows no refusal: a stream that fails is reset. */
export const serveV1 = (stream: Duplex, options: LocalServiceOptions): void => {
  const target = options.services.get(DEFAULT_SERVICE)
  if (target === undefined) {
    stream.destroy()
    return
  }
  connectTarget(stream, target, options.connectTimeoutMillis, {
    onConnected: (socket) => {
      options.onStream?.(DEFAULT_SERVICE, stream)
      splice(stream, socket)
    },
    onFailed: (error) => {
      options.onRefused?.(DEFAULT_SERVICE, target, error, undefined)
      stream.destroy()
    }
  })
}

/** Of a service's name in UTF-8. A longer one is none of ours, and is not waited for. */
const MAX_NAME = 255
/** With a request's id, which has 128 at most, behind it. */
const MAX_PREFACE = MAX_NAME + 1 + 128

const connectTarget = (
  stream: Duplex,
  target: ServiceTarget,
  timeoutMillis: number,
  on: {
    readonly onConnected: (socket: Socket) => void
    readonly onFailed: (error: NodeJS.ErrnoException) => void
  }
): void => {
  let connection: LocalConnection
  try {
    connection = open(target)
  } catch (error) {
    // The file system's errors are such.
    return on.onFailed(error as NodeJS.ErrnoException)
  }
  const { ready, socket } = connection
  const settle = () => {
    clearTimeout(timer)
    socket.off(ready, onConnect)
    socket.off("error", onError)
    stream.off("close", onGone)
  }
  const onConnect = () => {
    settle()
    on.onConnected(socket)
  }
  const onError = (error: NodeJS.ErrnoException) => {
    settle()
    on.onFailed(error)
  }
  const onGone = () => {
    settle()
    socket.destroy()
  }
  const timer = setTimeout(() => {
    socket.destroy(
      Object.assign(new Error(`no connection within ${timeoutMillis} ms`), { code: "ETIMEDOUT" })
    )
  }, timeoutMillis)
  socket.on(ready, onConnect)
  socket.on("error", onError)
  stream.on("close", onGone)
}

const decline = (stream: Duplex, refusal: Refusal, reason: string): void => {
  stream.end(encodeRefusal(refusal, reason))
  // What the cloud has already sent is of no use; reading it on lets the stream come to its end.
  stream.resume()
}

const refusalOf = ({ code }: NodeJS.ErrnoException): Refusal => {
  switch (code) {
    case "ECONNREFUSED":
    case "ENOENT":
    case "EACCES":
      return "refused"
    case "EMFILE":
    case "ENFILE":
    case "EAGAIN":
    case "EADDRNOTAVAIL":
      return "busy"
    default:
      return "unreachable"
  }
}
