import { createServer as createHttp, type RequestListener, type Server } from "node:http"
import { createServer as createHttps } from "node:https"
import { connect, createServer as createTcp, type Server as TcpServer } from "node:net"
import { writeFile } from "node:fs/promises"
import { agent, folder } from "@edge-relay/testkit/RelaySystem"
import { Program } from "@edge-relay/testkit/Program"
import { TestCertificate } from "@edge-relay/testkit/TestCertificate"
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { cloudClient } from "../src/CloudClient.ts"
import { Pairing } from "../src/Pairing.ts"

const listen = (server: TcpServer | Server): Promise<number> =>
  new Promise((resolve) =>
    server.listen(0, "localhost", () => {
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : 0)
    })
  )

const grants: RequestListener = (request, response) => {
  request.resume()
  response.writeHead(201, { "Content-Type": "application/json" })
  response.end(
    JSON.stringify({
      edgeId: "edge_01h455vb4pex5vsknk084sn02q",
      token: "ert_granted",
      tunnelUrl: "ws://localhost:1"
    })
  )
}

/** What a person reads who pairs with that address; undefined where it works. */
const pairWith = (
  url: string,
  options: { readonly caFile?: string; readonly environment?: Record<string, string> } = {}
) => {
  const { caFile, environment = {} } = options
  return Pairing.use((pairing) => pairing.exchange({ code: "ABCD", hostname: "here" })).pipe(
    Effect.provide(
      Pairing.layer(new URL(url)).pipe(
        Layer.provide(cloudClient({ url: new URL(url), caFile, environment })),
        Layer.provide(NodeServices.layer)
      )
    ),
    Effect.match({ onSuccess: () => undefined, onFailure: (error) => error.message }),
    Effect.runPromise
  )
}

describe("pairing says what is wrong with the address", () => {
  const stack = new AsyncDisposableStack()
  const certificate = stack.use(new TestCertificate())
  const stranger = stack.use(new TestCertificate("other.example"))
  const serve = async (server: TcpServer | Server): Promise<string> => {
    stack.defer(() => {
      server.close()
      if ("closeAllConnections" in server) server.closeAllConnections()
    })
    return `localhost:${await listen(server)}`
  }
  let at: Record<"secure" | "misnamed" | "plain" | "page" | "moved" | "silent" | "proxy", string>
  const asked: Array<string> = []

  beforeAll(async () => {
    const secure = await serve(createHttps(certificate.tls, grants))
    const proxy = createHttp((_request, response) => response.end())
    proxy.on("connect", (request, client) => {
      asked.push(request.url ?? "")
      if (request.headers["proxy-authorization"] === undefined) {
        return client.end("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
      }
      const far = connect(Number(request.url?.split(":")[1]), "localhost", () => {
        client.write("HTTP/1.1 200 OK\r\n\r\n")
        far.pipe(client).pipe(far)
      })
      far.on("error", () => client.destroy())
      client.on("error", () => far.destroy())
      return undefined
    })
    at = {
      secure,
      misnamed: await serve(createHttps(stranger.tls, grants)),
      plain: await serve(createHttp(grants)),
      page: await serve(createHttp((_request, response) => response.writeHead(404).end("<h1>nothing</h1>"))),
      moved: await serve(
        createHttp((_request, response) => response.writeHead(301, { Location: `https://${secure}/` }).end())
      ),
      silent: await serve(createTcp((socket) => socket.end())),
      proxy: await serve(proxy)
    }
  })
  afterAll(() => stack.disposeAsync())

  it("by a certificate: whose authority is unknown, or that is for another name", async () => {
    const untrusted = await pairWith(`https://${at.secure}`)
    assert.match(untrusted ?? "", /does not trust the certificate .*SELF_SIGNED.*--ca FILE/)
    assert.isUndefined(await pairWith(`https://${at.secure}`, { caFile: certificate.certFile }))
    const misnamed = await pairWith(`https://${at.misnamed}`, { caFile: stranger.certFile })
    assert.include(misnamed, "is for another name (other.example)")
    await writeFile(`${certificate.folder}/none.pem`, "nothing\n")
    const none = await pairWith(`https://${at.secure}`, { caFile: `${certificate.folder}/none.pem` })
    assert.include(none, "none.pem has no certificate")
  })

  it("by the protocol: TLS where there is none, and none where there is", async () => {
    assert.include(await pairWith(`https://${at.plain}`), `does not speak TLS: is it http://${at.plain}?`)
    assert.include(await pairWith(`http://${at.secure}`), `is it https://${at.secure}?`)
    assert.include(await pairWith(`http://${at.silent}`), "ended the connection without an answer")
  })

  it("by who answers: another server, one that sends on, or none", async () => {
    assert.include(await pairWith(`http://${at.page}`), "answered 404, and not as Edge Relay does")
    assert.include(
      await pairWith(`http://${at.moved}`),
      `sends on to https://${at.secure}: is that the address?`
    )
    assert.include(await pairWith("http://127.0.0.1:1"), "nothing listens at 127.0.0.1:1")
    assert.match(
      (await pairWith("http://none.invalid")) ?? "",
      /there is no host none.invalid|cannot be looked up/
    )
  })

  it("by the proxy: as `run` finds it, and what it answers", async () => {
    const url = `https://${at.secure}`
    const caFile = certificate.certFile
    const through = (environment: Record<string, string>) => pairWith(url, { caFile, environment })
    // Without a scheme, by ALL_PROXY, and with an empty variable before it.
    assert.isUndefined(await through({ https_proxy: "", ALL_PROXY: `user:secret@${at.proxy}` }))
    assert.deepEqual(asked, [at.secure])
    const refused = await through({ HTTPS_PROXY: at.proxy })
    assert.include(refused, `the proxy http://${at.proxy} answered 407: it wants a user and a password`)
    assert.include(
      await through({ HTTPS_PROXY: "http://u:secret@127.0.0.1:1" }),
      "cannot reach the proxy http://127.0.0.1:1:"
    )
    assert.strictEqual(
      await through({ HTTPS_PROXY: "socks5://u:secret@127.0.0.1:1" }),
      "HTTPS_PROXY names a proxy by socks5://: expected http:// or https://"
    )
    assert.strictEqual(
      await through({ https_proxy: "http://u:secret@[" }),
      "https_proxy is no URL: expected http://HOST:PORT"
    )
  })

  it("as a process: by a path that is not supported, and with 78 for a proxy that cannot be", async () => {
    await using state = await folder()
    const pathed = agent(["pair", "--url", `http://${at.plain}/relay`], state.path)
    assert.strictEqual(await pathed.exited, 2)
    assert.include(pathed.output, `expected the address alone: http://${at.plain}, without /relay`)
    for (const command of [["pair", "CODE", "--url", `http://${at.plain}`], ["run"]]) {
      const socks = new Program(
        "packages/edge-agent/src/main.ts",
        [...command, "--state", state.path],
        { HTTP_PROXY: "socks5://127.0.0.1:1" },
        state.path
      )
      assert.strictEqual(await socks.exited, 78, socks.output)
      assert.strictEqual(
        socks.output,
        "HTTP_PROXY names a proxy by socks5://: expected http:// or https://\n"
      )
      // For `run`, which wants to be paired.
      const pair = agent(["pair", "CODE", "--url", `http://${at.plain}`, "--force"], state.path)
      assert.strictEqual(await pair.exited, 0, pair.output)
    }
  }, 60_000)

  it("as a process: over a paired state only with --force, before a code is spent", async () => {
    await using state = await folder()
    const pair = (...args: ReadonlyArray<string>) =>
      agent(["pair", "CODE", "--url", `http://${at.plain}`, ...args], state.path)
    const first = pair("--json")
    assert.strictEqual(await first.exited, 0, first.output)
    assert.deepInclude(JSON.parse(first.output), { edgeId: "edge_01h455vb4pex5vsknk084sn02q" })
    // Nobody can be asked, and nothing was: its address does not matter.
    const again = agent(["pair", "CODE", "--url", "http://127.0.0.1:1"], state.path)
    assert.strictEqual(await again.exited, 1, again.output)
    assert.include(again.output, "paired already, as edge_01h455vb4pex5vsknk084sn02q")
    assert.include(again.output, "--force")
    const forced = pair("--force")
    assert.strictEqual(await forced.exited, 0, forced.output)
  }, 60_000)
})
