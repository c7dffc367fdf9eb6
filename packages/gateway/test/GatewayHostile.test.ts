import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as net from "node:net"
import { gunzipSync, gzipSync } from "node:zlib"
import {
  ask,
  code,
  eventually,
  httpOrigin,
  rawOrigin,
  scriptedOrigin,
  sendRaw,
  TestGateway
} from "@edge-relay/testkit/gateway/TestGateway"

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

describe("Gateway, hostile edges", () => {
  it.live.each([
    ["HEAD with a body", "HEAD", ok, 200],
    ["HEAD with chunks", "HEAD", `${chunked}2\r\nok\r\n0\r\n\r\n`, 200],
    ["304 with a body", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok", 304],
    ["304 with another answer as its body", "GET", `HTTP/1.1 304 Not Modified\r\n\r\n${ok}`, 304],
    ["204 with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 204],
    [
      "204 with chunks",
      "GET",
      "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
      204
    ],
    ["32 interim answers", "GET", `${"HTTP/1.1 102 Processing\r\n\r\n".repeat(32)}${ok}`, 200],
    ["33 interim answers", "GET", `${"HTTP/1.1 102 Processing\r\n\r\n".repeat(33)}${ok}`, 502],
    [
      "an interim answer with a body",
      "GET",
      `HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nxx${ok}`,
      502
    ],
    ["an upgrade that nobody asked for", "GET", "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\nbytes", 502],
    ["a length twice in one line", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", 502],
    ["a signed length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", 502],
    ["another version", "GET", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 502],
    ["four digits of status", "GET", "HTTP/1.1 1000 OK\r\nContent-Length: 2\r\n\r\nok", 502],
    ["ICY", "GET", "ICY 200 OK\r\n\r\n", 502],
    ["a header without a name", "GET", "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok", 502],
    ["a head of 82 KiB", "GET", `HTTP/1.1 200 OK\r\nA: ${"x".repeat(82 * 1024)}\r\n\r\n`, 502]
  ] as const)("answer %s, and the next answer is the next request's", ([, method, answer, status]) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const next = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
      const edgeId = yield* gateway.addEdge(yield* scriptedOrigin(answer, next))
      const path = `/api/edges/${edgeId}/http/`
      const head = (method: string, more = "") =>
        `${method} ${path} HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\n${more}\r\n`
      // Both on one connection of the browser's, the second as soon as the first can have been answered.
      const received = yield* sendRaw(gateway.port, head(method) + head("GET", "Connection: close\r\n"))
      const answers = received
        .split(/(?=HTTP\/1\.1 \d\d\d )/)
        .filter((text) => !/^HTTP\/1\.1 10[23]/.test(text))
      assert.lengthOf(answers, 2, received)
      assert.strictEqual(Number(answers[0]?.slice(9, 12)), status)
      if (status !== 502)
        assert.match(answers[0] ?? "", status === 200 && method === "GET" ? /\r\n\r\nok$/ : /\r\n\r\n$/)
      assert.match(answers[1] ?? "", /^HTTP\/1\.1 200 [^]*\r\n\r\nnext$/)
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live.each([
    ["a chunk size below zero", `${chunked}-2\r\nok\r\n0\r\n\r\n`],
    ["a chunk size of thirteen digits", `${chunked}0000000000002\r\nok\r\n0\r\n\r\n`],
    ["a chunk size without CR", `${chunked}2\nok\r\n0\r\n\r\n`],
    ["an extension of 5 KiB", `${chunked}2;${"x".repeat(5000)}\r\nok\r\n0\r\n\r\n`],
    ["24 KiB of trailers", `${chunked}2\r\nok\r\n0\r\n${"A: b\r\n".repeat(4000)}\r\n`]
  ] as const)("break off with %s, never with a short answer", ([, answer]) =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* scriptedOrigin(answer))
      const received = yield* sendRaw(
        gateway.port,
        `GET /api/edges/${edgeId}/http/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ${gateway.cookie}\r\n\r\n`
      )
      assert.notInclude(received, "0\r\n\r\n")
      yield* eventually("the stream's end", () => gateway.edge(edgeId).streams.size === 0)
      assert.strictEqual(gateway.traffic.recent(edgeId)[0]?.cause, "edge_reset")
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("are refused as a whole where their first chunk is none, since nothing of them has gone out", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const edgeId = yield* gateway.addEdge(yield* scriptedOrigin(`${chunked}zz\r\nok\r\n0\r\n\r\n`))
      const answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`)
      assert.deepStrictEqual([answer.status, code(answer), answer.broken], [502, "edge_reset", false])
      assert.include(answer.body.toString(), "a chunk without a size")
      assert.deepInclude(gateway.traffic.recent(edgeId)[0], { status: 502, cause: "edge_reset" })
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("may code the transfer, which the browser decodes, and has its trailers dropped", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const coded = gzipSync("hello")
      const edgeId = yield* gateway.addEdge(
        yield* rawOrigin((socket) =>
          socket.once("data", () => {
            socket.write(
              `HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n${coded.length.toString(16)}\r\n`
            )
            socket.write(coded)
            socket.write("\r\n0\r\nX-Checked: yes\r\n\r\n")
          })
        )
      )
      const answer = yield* ask(gateway, `/api/edges/${edgeId}/http/`, {
        headers: ["TE", "trailers", "Connection", "TE"]
      })
      assert.strictEqual(gunzipSync(answer.body).toString(), "hello")
      assert.strictEqual(answer.headers["content-encoding"], "gzip")
      assert.strictEqual(answer.headers["transfer-encoding"], "chunked")
      assert.notInclude(
        answer.rawHeaders.map((text) => text.toLowerCase()),
        "x-checked"
      )
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("take nothing of ours out by naming it in Connection", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const named =
        "content-security-policy, x-content-type-options, cache-control, x-request-id, content-length"
      const edgeId = yield* gateway.addEdge(
        yield* scriptedOrigin(`HTTP/1.1 200 OK\r\nConnection: close, ${named}\r\nContent-Length: 2\r\n\r\nok`)
      )
      const { headers, body } = yield* ask(gateway, `/api/edges/${edgeId}/http/`)
      assert.strictEqual(body.toString(), "ok")
      assert.strictEqual(headers["content-security-policy"], "sandbox allow-scripts allow-forms")
      assert.strictEqual(headers["x-content-type-options"], "nosniff")
      assert.strictEqual(headers["cache-control"], "private")
      assert.isDefined(headers["x-request-id"])
    }).pipe(Effect.provide(TestGateway.layer()))
  )

  it.live("mix no answers up, whenever they answer an upload, and however it is cut", () =>
    Effect.gen(function* () {
      const gateway = yield* TestGateway
      const random = randomOf(7)
      const edgeId = yield* gateway.addEdge(
        yield* httpOrigin((request, response) => {
          const answer = () => response.end(`<${request.url}>`)
          const how = random(5)
          if (how === 0) response.setHeader("Connection", "close")
          // Before the body, without reading it, at its beginning, or at its end.
          if (how < 2) answer()
          else if (how === 2) setTimeout(answer, random(5))
          else if (how === 3) request.once("data", answer).once("end", answer)
          else request.resume().once("end", answer)
        })
      )
      const results = yield* Effect.forEach(
        Array.from({ length: 8 }),
        (_, who) => Effect.promise(() => uploads({ gateway, edgeId, who, count: 60, random })),
        { concurrency: "unbounded" }
      )
      const all = results.flat()
      assert.isAbove(all.filter(({ status }) => status === 200).length, 300)
      for (const { id, status, body } of all) {
        // An edge that closes instead of reading an upload may take its answer with it.
        if (status === 200) assert.strictEqual(body, `</?${id}>`)
        else assert.deepStrictEqual([status, JSON.parse(body).code], [502, "edge_reset"])
      }
    }).pipe(Effect.provide(TestGateway.layer()))
  )
})

/** Numbers below `bound`, the same in each run. */
const randomOf = (seed: number) => {
  let state = seed
  return (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}

interface Uploads {
  readonly gateway: TestGateway["Service"]
  readonly edgeId: string
  readonly who: number
  readonly count: number
  readonly random: (bound: number) => number
}

/** Uploads on kept-alive connections, whose bodies look like requests, one after the other. */
const uploads = async ({ gateway, edgeId, who, count, random }: Uploads) => {
  const answers: Array<{ readonly id: string; readonly status: number; readonly body: string }> = []
  let connection: Connection | undefined
  for (let index = 0; index < count; index++) {
    const id = `${who}-${index}`
    const body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".repeat(
      random(4) === 0 ? random(4000) : random(10)
    )
    const length =
      random(2) === 0
        ? `Content-Length: ${body.length}\r\n\r\n${body}`
        : `Transfer-Encoding: chunked\r\n\r\n${body === "" ? "" : `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n\r\n`
    const text = `POST /api/edges/${edgeId}/http/?${id} HTTP/1.1\r\nHost: a\r\nCookie: ${gateway.cookie}\r\n${length}`
    if (connection === undefined || connection.isClosed) connection = new Connection(gateway.port)
    for (let at = 0; at < text.length;) {
      const size = 1 + random(random(2) === 0 ? 40 : 60_000)
      connection.write(text.slice(at, at + size))
      at += size
      if (random(4) === 0) await new Promise((resolve) => setTimeout(resolve, random(3)))
    }
    const answer = await connection.answer()
    if (answer !== undefined) answers.push({ id, ...answer })
  }
  connection?.close()
  return answers
}

class Connection {
  isClosed = false
  readonly #socket: net.Socket
  #received = ""
  #onChange = (): void => undefined

  constructor(port: number) {
    this.#socket = net.connect({ port, host: "127.0.0.1", noDelay: true })
    this.#socket.on("error", () => undefined)
    this.#socket.on("data", (chunk) => {
      this.#received += chunk.toString("latin1")
      this.#onChange()
    })
    this.#socket.on("close", () => {
      this.isClosed = true
      this.#onChange()
    })
  }

  write(text: string): void {
    this.#socket.write(text, "latin1")
  }

  close(): void {
    this.#socket.destroy()
  }

  /** Undefined where the connection ended before it: what is answered early is not waited for long. */
  async answer(): Promise<{ readonly status: number; readonly body: string } | undefined> {
    while (true) {
      const headEnd = this.#received.indexOf("\r\n\r\n")
      const head = this.#received.slice(0, headEnd + 2)
      // Node gives an answer that it has whole a length.
      const [, length] = /\r\nContent-Length: (\d+)\r\n/i.exec(head) ?? []
      const end = headEnd + 4 + Number(length)
      if (headEnd !== -1 && this.#received.length >= end) {
        const body = this.#received.slice(headEnd + 4, end)
        this.#received = this.#received.slice(end)
        return { status: Number(head.slice(9, 12)), body }
      }
      if (this.isClosed) return undefined
      await new Promise<void>((resolve) => (this.#onChange = resolve))
    }
  }
}
