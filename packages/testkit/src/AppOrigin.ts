import { createHash } from "node:crypto"
import { createServer, type Server } from "node:http"
import { WebSocketServer } from "ws"

/** A machine's local server: echoes, streams, and a WebSocket that echoes. */
export class Origin implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets: WebSocketServer
  readonly port: number

  private constructor(server: Server, sockets: WebSocketServer, port: number) {
    this.#server = server
    this.#sockets = sockets
    this.port = port
  }

  static async start(): Promise<Origin> {
    const server = createServer((request, response) => {
      const path = request.url ?? "/"
      if (path === "/events") {
        response.writeHead(200, { "content-type": "text/event-stream" })
        let n = 0
        const timer = setInterval(() => response.write(`id: ${n}\ndata: tick ${n++}\n\n`), 20)
        response.on("close", () => clearInterval(timer))
      } else if (path.startsWith("/bytes/")) {
        const size = Number(path.slice("/bytes/".length))
        response.writeHead(200, { "content-length": size, "content-type": "application/octet-stream" })
        let left = size
        const chunk = Buffer.alloc(65_536, 7)
        const write = () => {
          while (left > 0) {
            const part = chunk.subarray(0, Math.min(left, chunk.length))
            left -= part.length
            if (!response.write(part)) return void response.once("drain", write)
          }
          response.end()
        }
        write()
      } else if (request.method === "POST" && path === "/echo") {
        response.writeHead(200, { "content-type": "application/octet-stream" })
        request.pipe(response)
      } else if (request.method === "POST") {
        const hash = createHash("sha256")
        let size = 0
        request.on("data", (chunk: Buffer) => {
          size += chunk.length
          hash.update(chunk)
        })
        request.on("end", () => {
          response.writeHead(200, { "content-type": "application/json" })
          response.end(JSON.stringify({ size, sha256: hash.digest("hex") }))
        })
      } else if (path === "/page") {
        response.writeHead(200, { "content-type": "text/html", "set-cookie": "edge=1" })
        response.end("<!doctype html><title>local</title><h1>a local page</h1>")
      } else {
        response.writeHead(200, { "content-type": "application/json" })
        response.end(JSON.stringify({ method: request.method, path, headers: request.headers }))
      }
    })
    const sockets = new WebSocketServer({ server })
    sockets.on("connection", (socket) => {
      socket.on("message", (data, binary) => socket.send(data, { binary }))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    return new Origin(server, sockets, typeof address === "object" && address !== null ? address.port : 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
