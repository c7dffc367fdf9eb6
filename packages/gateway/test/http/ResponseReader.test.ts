import { assert, describe, it } from "@effect/vitest"
import { MalformedResponse } from "../../src/http/MalformedResponse.ts"
import type { ResponseHead } from "../../src/http/ResponseHead.ts"
import { ResponseReader } from "../../src/http/ResponseReader.ts"

interface Read {
  readonly interim: Array<number>
  head: ResponseHead | undefined
  body: string
  behind: string
  done: boolean
  readonly reader: ResponseReader
}

const read = (text: string, { method = "GET", step = text.length } = {}): Read => {
  const result: Omit<Read, "reader"> = { interim: [], head: undefined, body: "", behind: "", done: false }
  const reader = new ResponseReader(method, {
    place: "our-origin",
    onInformation: ({ status }) => result.interim.push(status),
    onHead: (head) => {
      result.head = head
    },
    onBody: (part) => {
      result.body += part.toString("latin1")
    }
  })
  const bytes = Buffer.from(text, "latin1")
  for (let at = 0; at < bytes.length; at += step) {
    const behind = reader.push(bytes.subarray(at, at + step))
    result.behind += behind?.toString("latin1") ?? ""
  }
  result.done = reader.isDone
  return { ...result, reader }
}

const refuses = (text: string) => {
  // Whole, and a byte at a time.
  assert.throws(() => read(text), MalformedResponse)
  assert.throws(() => read(text, { step: 1 }), MalformedResponse)
}

describe("ResponseReader", () => {
  const chunked =
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 Fine\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n" +
    "x-a:2 \r\n\r\n5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer-Of: ours\r\n\r\n"

  it("reads an answer cut anywhere", () => {
    for (let step = 1; step <= chunked.length; step++) {
      const { head, body, done, interim, behind } = read(chunked, { step })
      assert.deepStrictEqual(interim, [103])
      assert.strictEqual(head?.status, 200)
      assert.strictEqual(head?.message, "Fine")
      assert.deepStrictEqual(head?.headers, ["X-A", "1", "x-a", "2"])
      assert.strictEqual(body, "hello world")
      assert.isTrue(done)
      assert.strictEqual(behind, "")
    }
  })

  it("reads lines that end in LF alone as those that end in CRLF, cut anywhere", () => {
    const text =
      "HTTP/1.1 103 Early Hints\nLink: </a>\n\nHTTP/1.1 200 OK\nX-A: b\nX-C: d\nContent-Length: 6\n\n\n\r\n\r\n."
    const body = "\n\r\n\r\n."
    const lineEnds = Array.from(text.slice(0, -body.length).matchAll(/\n/g), ({ index }) => index)
    // Each line's end either way, in all combinations.
    for (let chosen = 0; chosen < 2 ** lineEnds.length; chosen++) {
      const mixed = Array.from(text, (char, at) =>
        lineEnds.indexOf(at) >= 0 && (chosen >> lineEnds.indexOf(at)) & 1 ? "\r\n" : char
      ).join("")
      for (const step of [1, 2, 3, mixed.length]) {
        const found = read(mixed, { step })
        assert.deepStrictEqual(found.interim, [103], JSON.stringify(mixed))
        assert.deepStrictEqual(found.head?.headers, ["X-A", "b", "X-C", "d", "Content-Length", "6"])
        assert.deepStrictEqual([found.body, found.done], [body, true])
      }
    }
  })

  it("knows where a body ends, and what is behind it", () => {
    const counted = read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\n\r\n")
    assert.strictEqual(counted.body, "ab")
    assert.strictEqual(counted.behind, "HTTP/1.1 200 OK\r\n\r\n")
    const empty = read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx")
    assert.isTrue(empty.done)
    assert.strictEqual(empty.behind, "x")
  })

  it("reads to the end of the connection where nothing says the length", () => {
    const { reader, body, done, head } = read("HTTP/1.0 200 OK\r\n\r\nabc")
    assert.strictEqual(body, "abc")
    assert.isFalse(done)
    assert.isFalse(head?.keepAlive)
    assert.isTrue(reader.finish())
  })

  it("knows answers without a body", () => {
    for (const status of [204, 304]) {
      const { done, behind } = read(`HTTP/1.1 ${status} X\r\nETag: "a"\r\n\r\nrest`)
      assert.isTrue(done)
      assert.strictEqual(behind, "rest")
    }
    const head = read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", { method: "HEAD" })
    assert.isTrue(head.done)
    assert.deepStrictEqual(head.head?.headers, ["Content-Length", "5"])
    assert.deepStrictEqual(read("HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n").head?.headers, [])
  })

  it("refuses at once a head whose lines end with CR alone", () => {
    refuses("HTTP/1.1 200 OK\rContent-Length: 2\r\rok")
    refuses("HTTP/1.1 200 OK\r\nX: a\rY: b")
  })

  it("makes a coding of the transfer one of the content", () => {
    const encoded = (lines: string) => read(`HTTP/1.1 200 OK\r\n${lines}\r\n\r\n0\r\n\r\n`).head?.headers
    assert.deepStrictEqual(encoded("Transfer-Encoding: gzip, chunked"), ["Content-Encoding", "gzip"])
    assert.deepStrictEqual(encoded("Transfer-Encoding: X-Gzip\r\nTransfer-Encoding: Chunked"), [
      "Content-Encoding",
      "gzip"
    ])
    assert.deepStrictEqual(encoded("content-encoding: br\r\nTransfer-Encoding: deflate , chunked"), [
      "content-encoding",
      "br, deflate"
    ])
    assert.deepStrictEqual(encoded("Transfer-Encoding: CHUNKED"), [])
  })

  it("is not done where the connection ends early", () => {
    for (let length = 0; length < chunked.length; length++) {
      assert.isFalse(read(chunked.slice(0, length)).reader.finish(), `${length} bytes`)
    }
    assert.isFalse(read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcd").reader.finish())
  })

  it("knows whether the connection can be asked again", () => {
    const keepAlive = (head: string) => read(`${head}\r\nContent-Length: 0\r\n\r\n`).head?.keepAlive
    assert.isTrue(keepAlive("HTTP/1.1 200 OK"))
    assert.isFalse(keepAlive("HTTP/1.1 200 OK\r\nConnection: close"))
    assert.isFalse(keepAlive("HTTP/1.1 200 OK\r\nConnection: Close, x"))
    assert.isFalse(keepAlive("HTTP/1.0 200 OK"))
    assert.isTrue(keepAlive("HTTP/1.0 200 OK\r\nConnection: keep-alive"))
    assert.strictEqual(read("HTTP/1.1 204 X\r\nKeep-Alive: timeout=7, max=9\r\n\r\n").head?.idleSeconds, 7)
  })

  it("drops what is not the edge's to say", () => {
    const { head } = read(
      [
        "HTTP/1.1 204 X",
        "Set-Cookie: a=b",
        "SET-COOKIE: c=d",
        "Connection: X-Hop",
        "X-Hop: 1",
        "Keep-Alive: x",
        "Clear-Site-Data: *",
        "Strict-Transport-Security: max-age=1",
        "Access-Control-Allow-Origin: *",
        "Alt-Svc: h2=x",
        "Service-Worker-Allowed: /",
        "Secure-Session-Registration: (ES256);path=/",
        "Set-Login: logged-out",
        'Use-As-Dictionary: match="/*"',
        "X-Accel-Redirect: /internal/keys",
        "X-Accel-Expires: 600",
        "X-Sendfile: /etc/passwd",
        "Surrogate-Control: max-age=600",
        "CDN-Cache-Control: max-age=600",
        "Cloudflare-CDN-Cache-Control: max-age=600",
        "X-Request-Id: 1",
        "X-Content-Type-Options: x",
        "Trailer: x",
        "Upgrade: h2c",
        "Proxy-Authenticate: Basic",
        "NEL: {}",
        "Content-Type: text/html",
        "",
        ""
      ].join("\r\n")
    )
    assert.deepStrictEqual(head?.headers, ["Content-Type", "text/html"])
  })

  it("keeps from caches what lets many share an answer", () => {
    const cacheControl = (value: string) =>
      read(`HTTP/1.1 204 X\r\nCache-Control: ${value}\r\n\r\n`).head?.headers[1]
    assert.strictEqual(cacheControl("Public, max-age=60,S-MaxAge=600 , immutable"), "max-age=60, immutable")
    assert.strictEqual(cacheControl("no-store"), "no-store")
    assert.strictEqual(cacheControl("public"), "")
  })

  it("keeps white space out of values, and bytes above ASCII in", () => {
    assert.deepStrictEqual(read("HTTP/1.1 204 \xe9\r\nX-A:\t \xe9 b \t\r\nX-B:\r\n\r\n").head?.headers, [
      "X-A",
      "\xe9 b",
      "X-B",
      ""
    ])
  })

  it.each([
    ["junk", "SSH-2.0-OpenSSH\r\n"],
    ["another version", "HTTP/2.0 200 OK\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status that is none", "HTTP/1.1 000 OK\r\n\r\n"],
    ["a folded header by LF", "HTTP/1.1 200 OK\nA: b\n c\n\n"],
    ["two CR before an LF", "HTTP/1.1 200 OK\r\r\nA: b\r\n\r\n"],
    ["a bare CR", "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n"],
    ["a NUL", "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n"],
    ["a folded header", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"],
    ["a folded header at the start", "HTTP/1.1 200 OK\r\n A: b\r\n\r\n"],
    ["white space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na"],
    ["no name", "HTTP/1.1 200 OK\r\n: a\r\n\r\n"],
    ["no colon", "HTTP/1.1 200 OK\r\nA\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na"],
    ["the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"],
    ["a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na"],
    ["a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na"],
    ["a length in hexadecimal", "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\na"],
    ["a length beyond numbers", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\na"],
    [
      "length and chunks",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ],
    [
      "chunks and length",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
    ],
    ["a coding that nobody knows", "HTTP/1.1 200 OK\r\nTransfer-Encoding: lzw, chunked\r\n\r\n0\r\n\r\n"],
    ["a coding around the chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"],
    ["a coding without chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n"],
    ["three codings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, gzip, chunked\r\n\r\n0\r\n\r\n"],
    ["a part with a coding", "HTTP/1.1 206 X\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    ["a coding that is almost chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
    [
      "a vertical tab before the coding",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"
    ],
    [
      "two codings",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ],
    ["chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["a chunk size that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"],
    ["a chunk size in C's way", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n"],
    ["a negative chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n"],
    ["a chunk size beyond numbers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffff\r\n"],
    ["a chunk size by LF", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n"],
    ["an extension with LF", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\na\r\n"],
    ["an extension with CR", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a\rb\r\na\r\n"],
    [
      "an extension without end",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;${"a".repeat(9000)}\r\n`
    ],
    ["a chunk longer than its size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"],
    ["a trailer by LF", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n"],
    ["a head without end", `HTTP/1.1 200 OK\r\nA: ${"a".repeat(90_000)}\r\n\r\n`],
    ["interim answers without end", "HTTP/1.1 103 X\r\n\r\n".repeat(40)]
  ])("refuses %s", (_, text) => refuses(text))
})
