import { createServer as createProxy } from "node:http"
import { createServer, type Server } from "node:https"
import { type AddressInfo, connect } from "node:net"
import { TestCertificate } from "@edge-relay/testkit/TestCertificate"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient } from "effect/http"
import { cloudClient } from "../src/CloudClient.ts"

/** A cloud by TLS, whose certificate no authority of the system has signed. */
const cloud = Effect.acquireRelease(
  Effect.promise(async () => {
    const certificate = new TestCertificate()
    const server = createServer(certificate.tls, (request, response) => response.end(`hello ${request.url}`))
    return {
      certificate,
      caFile: certificate.certFile,
      server,
      url: new URL(`https://localhost:${await listening(server)}`)
    }
  }),
  ({ certificate, server }) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
      certificate[Symbol.dispose]()
    })
)

/** An HTTP proxy that notes what it was asked to connect to. */
const proxy = Effect.acquireRelease(
  Effect.promise(async () => {
    const asked: Array<string> = []
    const server = createProxy()
    server.on("connect", (request, client) => {
      asked.push(request.url ?? "")
      const far = connect(Number(request.url?.split(":")[1]), "localhost", () => {
        client.write("HTTP/1.1 200 OK\r\n\r\n")
        far.pipe(client).pipe(far)
      })
      far.on("error", () => client.destroy())
      client.on("error", () => far.destroy())
    })
    return { asked, server, url: `http://127.0.0.1:${await listening(server)}` }
  }),
  ({ server }) => Effect.sync(() => server.close())
)

const listening = (server: Server | ReturnType<typeof createProxy>) =>
  new Promise<number>((resolve) =>
    server.listen(0, "localhost", () => {
      // A TCP server's address is an object.
      resolve((server.address() as AddressInfo).port)
    })
  )

const get = (path: string, options: Parameters<typeof cloudClient>[0]) =>
  HttpClient.get(new URL(path, options.url)).pipe(
    Effect.flatMap((response) => response.text),
    Effect.provide(Layer.provide(cloudClient(options), NodeServices.layer))
  )

describe("cloudClient", () => {
  it.live("trusts the authorities that it was given, and without them only the system's", () =>
    Effect.gen(function* () {
      const { caFile, url } = yield* cloud
      assert.strictEqual(yield* get("/a", { url, caFile, environment: {} }), "hello /a")
      const refused = yield* Effect.flip(get("/a", { url, caFile: undefined, environment: {} }))
      assert.strictEqual(refused._tag, "HttpClientError")
    })
  )

  it.live("goes through the proxy that the environment names, TLS and all, and not where it is exempt", () =>
    Effect.gen(function* () {
      const { caFile, url } = yield* cloud
      const through = yield* proxy
      const environment = { HTTPS_PROXY: through.url }
      assert.strictEqual(yield* get("/b", { url, caFile, environment }), "hello /b")
      assert.deepStrictEqual(through.asked, [url.host])
      yield* get("/c", { url, caFile, environment: { ...environment, NO_PROXY: "localhost" } })
      assert.deepStrictEqual(through.asked, [url.host])
    })
  )
})
