import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  code,
  eventually,
  type Answer,
  rawOrigin,
  sendRaw,
  ask,
  scriptedOrigin,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"

/** An edge that keeps whatever comes, and answers when it ends as a request does. */
const recorder = Effect.gen(function* () {
  const seen: Array<string> = []
  const port = yield* rawOrigin((socket) => {
    socket.on("data", (chunk) => {
      seen.push(chunk.toString("latin1"))
      if (!seen.join("").endsWith("\r\n\r\n") || seen.at(-1)?.endsWith("chunked\r\n\r\n")) return
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    })
  })
  return { seen, port }
})

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
const chunkedSmuggled = `0\r\n\r\n${smuggled}`

/** Each is the header lines and what follows them. */
const families: ReadonlyArray<readonly [string, string, string]> = [
  ["CL.TE", "Content-Length: 6\r\nTransfer-Encoding: chunked", chunkedSmuggled],
  ["TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4", `5c\r\n${smuggled}\r\n0\r\n\r\n`],
  ["TE.TE, a second coding", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x", chunkedSmuggled],
  ["TE.TE, a first coding", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked", chunkedSmuggled],
  ["TE.TE, identity", "Transfer-Encoding: identity, chunked", chunkedSmuggled],
  ["TE.TE, gzip", "Transfer-Encoding: gzip, chunked", chunkedSmuggled],
  ["TE.TE, almost chunked", "Transfer-Encoding: xchunked", chunkedSmuggled],
  ["TE.TE, white space before the colon", "Transfer-Encoding : chunked", chunkedSmuggled],
  ["TE.TE, a vertical tab", "Transfer-Encoding:\x0bchunked", chunkedSmuggled],
  ["TE.TE, a folded value", "Transfer-Encoding:\r\n chunked", chunkedSmuggled],
  ["TE.TE, a folded name", "X: y\r\n Transfer-Encoding: chunked", chunkedSmuggled],
  ["TE.TE, a bare LF before it", "X: y\nTransfer-Encoding: chunked", chunkedSmuggled],
  ["TE.TE, a bare CR before it", "X: y\rTransfer-Encoding: chunked", chunkedSmuggled],
  ["TE.TE, quoted", 'Transfer-Encoding: "chunked"', chunkedSmuggled],
  ["TE.TE, a NUL", "Transfer-Encoding: chunked\0", chunkedSmuggled],
  ["CL.CL", `Content-Length: 0\r\nContent-Length: ${smuggled.length}`, smuggled],
  ["CL.CL, the same twice", "Content-Length: 1\r\nContent-Length: 1", "a"],
  ["CL.CL, a list", `Content-Length: 0, ${smuggled.length}`, smuggled],
  ["a signed length", "Content-Length: +5", "hello"],
  ["a negative length", "Content-Length: -1", ""],
  ["a length in hexadecimal", "Content-Length: 0x5", "hello"],
  ["white space before the length's colon", "Content-Length : 5", "hello"],
  ["a bare LF in a header", "X: y\nContent-Length: 0", ""],
  ["a bare LF after the chunk size", "Transfer-Encoding: chunked", "5\nhello\r\n0\r\n\r\n"],
  ["a bare LF after the chunk", "Transfer-Encoding: chunked", "5\r\nhello\n0\r\n\r\n"],
  ["a bare LF in a chunk extension", "Transfer-Encoding: chunked", "5;a\nb\r\nhello\r\n0\r\n\r\n"],
  ["a bare CR in a chunk extension", "Transfer-Encoding: chunked", "5;a\rb\r\nhello\r\n0\r\n\r\n"],
  ["a chunk size in C's way", "Transfer-Encoding: chunked", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["a chunk size with a space", "Transfer-Encoding: chunked", "5 \r\nhello\r\n0\r\n\r\n"],
  ["a chunk longer than its size", "Transfer-Encoding: chunked", "5\r\nhelloXX0\r\n\r\n"],
  ["a header without a name", ": x", ""],
  ["a header without a colon", "Transfer-Encoding", ""],
  ["a second host", "Host: b", ""],
  ["an upgrade with a body", "Connection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: gzip", chunkedSmuggled]
]

describe("Gateway, request smuggling", () => {
  it.live.each(families)("refuses %s", ([name, headers, body]) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { seen, port } = yield* recorder
      const edgeId = yield* gateway.addEdge(port)
      const received = yield* sendRaw(
        gateway.port,
        `POST /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\n${headers}\r\n\r\n${body}`
      )
      const answers = received.split(/(?=HTTP\/1\.1 \d\d\d )/)
      assert.lengthOf(answers, 1, received)
      assert.match(answers.at(-1) ?? "", /^HTTP\/1\.1 400 /, name)
      assert.include(received, '"code":"bad_message"')
      assert.match(answers.at(-1) ?? "", /X-Request-Id: /)
      // A body that turns bad on its way may have begun at the edge; a request of its own never has.
      assert.notInclude(seen.join(""), "GET /smuggled")
      yield* eventually(
        "no stream left half way",
        () => seen.length === 0 || gateway.edge(edgeId).streams.size === 0
      )
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("refuses a coding in HTTP/1.0, other versions and a fragment", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { seen, port } = yield* recorder
      const edgeId = yield* gateway.addEdge(port)
      const send = (line: string, headers: string) =>
        sendRaw(
          gateway.port,
          `${line}\r\nHost: a\r\nConnection: close\r\nCookie: ${gateway.cookie}\r\n${headers}\r\n`
        )
      const path = `/api/edges/${edgeId}/http/`
      assert.match(yield* send(`POST ${path} HTTP/1.0`, "Transfer-Encoding: chunked\r\n"), /^HTTP\/1\.1 400 /)
      assert.match(yield* send(`GET ${path} HTTP/1.2`, ""), /^HTTP\/1\.1 400 /)
      assert.match(yield* send(`GET ${path} HTTP/2.0`, ""), /^HTTP\/1\.1 400 /)
      assert.match(yield* send(`GET ${path}#a HTTP/1.1`, ""), /^HTTP\/1\.1 400 /)
      assert.match(yield* send(`GET ${path}\x01 HTTP/1.1`, ""), /^HTTP\/1\.1 400 /)
      assert.match(yield* send(`GET ${path} x HTTP/1.1`, ""), /^HTTP\/1\.1 400 /)
      assert.deepStrictEqual(seen, [])
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("says again, in its own words, how long a body is", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { seen, port } = yield* recorder
      const edgeId = yield* gateway.addEdge(port)
      yield* sendRaw(
        gateway.port,
        `POST /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nConnection: close, content-length, transfer-encoding\r\nCookie: ${gateway.cookie}\r\n` +
          `Transfer-Encoding:\tCHUNKED\r\n\r\n0005;x="\xff"\r\nhello\r\n0\r\nX-A: 9\r\nX-Edge-User: root\r\n\r\n`
      )
      const [head = "", ...rest] = seen.join("").split("\r\n\r\n")
      assert.include(head, "Transfer-Encoding: chunked")
      assert.notInclude(head, "Content-Length")
      assert.strictEqual(rest.join("\r\n\r\n"), "5\r\nhello\r\n0\r\n\r\n")
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("says a length in one way, with no zero before it", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { seen, port } = yield* recorder
      const edgeId = yield* gateway.addEdge(port)
      yield* sendRaw(
        gateway.port,
        `POST /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\nContent-Length: 0010\r\n\r\n123456\r\n\r\n`,
        (text) => text.endsWith("ok")
      )
      assert.include(seen.join(""), "\r\nContent-Length: 10\r\n")
      const zero = yield* gateway.addEdge(
        yield* scriptedOrigin("HTTP/1.1 200 OK\r\nContent-Length: 02\r\n\r\nok")
      )
      assert.strictEqual((yield* ask(gateway, `/api/edges/${zero}/http/`)).headers["content-length"], "2")
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("is nobody's proxy", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const connect = `CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\nCookie: ${gateway.cookie}\r\n\r\n`
      const received = yield* sendRaw(gateway.port, connect)
      assert.match(received, /^HTTP\/1\.1 400 [^]*"code":"bad_message"/)
      // Behind a request that waits for its answer there is none.
      const edgeId = yield* gateway.addEdge(yield* rawOrigin((socket) => socket.resume()))
      const first = `GET /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\n\r\n`
      assert.strictEqual(yield* sendRaw(gateway.port, first + connect), "")
      yield* eventually("the end at the edge", () => gateway.edge(edgeId).streams.size === 0)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("sends the edge the path of a target in absolute form, and nothing of its host", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { seen, port } = yield* recorder
      const edgeId = yield* gateway.addEdge(port)
      const received = yield* sendRaw(
        gateway.port,
        `GET http://evil.test:81/api/edges/${edgeId}/http/a%2Fb//..;?c=http://d HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\nCookie: ${gateway.cookie}\r\n\r\n`
      )
      assert.match(received, /^HTTP\/1\.1 200 /)
      assert.match(seen.join(""), /^GET \/a%2Fb\/\/\.\.;\?c=http:\/\/d HTTP\/1\.1\r\nHost: localhost\r\n/)
      assert.notInclude(seen.join(""), "evil.test")
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("lets no header of a request break its line", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const { seen, port } = yield* recorder
      const edgeId = yield* gateway.addEdge(port)
      const path = `/api/edges/${edgeId}/http/%0d%0aX-Injected:%201?a=%0d%0a`
      assert.strictEqual((yield* ask(gateway, path, { headers: ["X-A", "%0d%0aX-Injected: 1"] })).status, 200)
      assert.isFalse(
        seen
          .join("")
          .split("\r\n")
          .some((line) => line.startsWith("X-Injected"))
      )
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live.each([
    ["CL.TE", "Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"],
    ["two lengths", "Content-Length: 0\r\nContent-Length: 5", "hello"],
    ["a coding that is not chunked", "Transfer-Encoding: chunked, gzip", "0\r\n\r\n"],
    ["a bare CR", "X: y\rSet-Cookie: session=evil\r\nContent-Length: 0", ""],
    ["a folded header", "X: y\r\n Set-Cookie: session=evil\r\nContent-Length: 0", ""],
    ["white space before the colon", "Set-Cookie : session=evil\r\nContent-Length: 0", ""],
    ["a NUL", "Set-Cookie\0: session=evil\r\nContent-Length: 0", ""]
  ] as const)("refuses an edge's answer with %s", ([, headers, body]) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* scriptedOrigin(`HTTP/1.1 200 OK\r\n${headers}\r\n\r\n${body}`)
      )
      const answer: Answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`)
      assert.deepStrictEqual([answer.status, code(answer)], [502, "edge_reset"])
      assert.notInclude(answer.rawHeaders.join("\n"), "evil")
      yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("reads an edge's line that ends in LF alone as a line of its own, and passes none on", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(
        yield* scriptedOrigin("HTTP/1.1 200 OK\r\nX-A: y\nSet-Cookie: session=evil\nContent-Length: 0\n\n")
      )
      const answer: Answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`)
      assert.deepStrictEqual([answer.status, answer.headers["x-a"]], [200, "y"])
      assert.notInclude(answer.rawHeaders.join("\n"), "evil")
    }).pipe(Effect.provide(TestGateway.layer()))
  )
})
