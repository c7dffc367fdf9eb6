import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, request as httpRequest } from "node:http"
import type { AddressInfo } from "node:net"
import { Readable } from "node:stream"
import { Effect } from "effect"
import { WebSocketServer } from "ws"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import type { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"

/** Bytes that differ everywhere, so that lost, doubled and swapped ones show. */
export const bytesAt = (offset: number, size: number): Buffer => {
  const bytes = Buffer.allocUnsafe(size)
  for (let index = 0; index < size; index++) bytes[index] = ((offset + index) * 2_654_435_761) >>> 24
  return bytes
}

export const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

/** A local HTTP server: `/` says hello, `/bytes/N` gives N bytes in 64 KiB pieces, an upgrade echoes messages. */
export const startOrigin = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const webSockets = new WebSocketServer({ noServer: true })
      const server = createServer((request, response) => {
        const size = Number(/^\/bytes\/(\d+)$/.exec(request.url ?? "")?.[1] ?? Number.NaN)
        if (Number.isNaN(size)) {
          response.end("hello")
          return
        }
        response.setHeader("Content-Length", size)
        let offset = 0
        Readable.from(
          (function* () {
            for (; offset < size; offset += 65_536) yield bytesAt(offset, Math.min(65_536, size - offset))
          })()
        ).pipe(response)
      })
      server.on("upgrade", (request, socket, head) =>
        webSockets.handleUpgrade(request, socket, head, (webSocket) => {
          webSocket.on("message", (data, isBinary) => webSocket.send(data, { binary: isBinary }))
        })
      )
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return server
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ),
  // A server that listens on TCP has such an address.
  (server) => ({ port: (server.address() as AddressInfo).port, server })
)

export interface Fetched {
  readonly status: number
  readonly body: Buffer
}

/** One GET through a stream of its own. Fails where anything breaks off. */
export const fetchThrough = Effect.fnUntraced(function* (
  dialer: TunnelDialer["Service"],
  edgeId: EdgeId,
  path: string,
  onChunk: (chunk: Buffer) => Promise<void> | void = () => undefined
) {
  const { stream } = yield* dialer.open(edgeId, "http")
  return yield* Effect.tryPromise(
    () =>
      new Promise<Fetched>((resolve, reject) => {
        const onResponse = async (response: IncomingMessage) => {
          const chunks: Array<Buffer> = []
          for await (const chunk of response) {
            chunks.push(chunk)
            await onChunk(chunk)
          }
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) })
        }
        httpRequest({ path, host: "edge", createConnection: () => stream }, (response) => {
          onResponse(response).catch(reject)
        })
          .on("error", reject)
          .end()
      })
  )
})
