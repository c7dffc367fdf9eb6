import { assert, describe, it } from "@effect/vitest"
import * as RequestHead from "../../src/http/RequestHead.ts"

const read = (...rawHeaders: ReadonlyArray<string>) => {
  const head = RequestHead.read(["Host", "h", ...rawHeaders], "1.1", "__Host-session")
  if ("malformed" in head) throw new Error(head.malformed)
  return head
}

const malformed = (version: string, ...rawHeaders: ReadonlyArray<string>) => {
  const head = RequestHead.read(rawHeaders, version, "__Host-session")
  return "malformed" in head ? head.malformed : undefined
}

describe("RequestHead", () => {
  it("keeps order, doubles and spelling", () => {
    assert.strictEqual(
      read("ACCEPT", "a", "x-A", "1", "X-a", "2", "accept", "b").lines,
      "ACCEPT: a\r\nx-A: 1\r\nX-a: 2\r\naccept: b\r\n"
    )
  })

  it("drops hop-by-hop headers and all that Connection names", () => {
    const { lines, upgrade } = read(
      "Connection",
      "keep-alive, X-Mine",
      "Keep-Alive",
      "timeout=5",
      "TE",
      "trailers",
      "Trailer",
      "x",
      "Proxy-Connection",
      "keep-alive",
      "Upgrade",
      "h2c",
      "X-Mine",
      "1",
      "X-Other",
      "2",
      "Connection",
      "x-third",
      "X-Third",
      "3",
      "Proxy-Authorization",
      "Basic x"
    )
    assert.strictEqual(lines, "X-Other: 2\r\n")
    assert.strictEqual(upgrade, "h2c")
  })

  it("does not let Connection take the length of the body away", () => {
    assert.strictEqual(
      read("Connection", "content-length", "Content-Length", "3").lines,
      "Content-Length: 3\r\n"
    )
  })

  it("drops what says who is asking, however it is spelt", () => {
    const { lines } = read(
      "Authorization",
      "Bearer x",
      "X-Forwarded-For",
      "6.6.6.6",
      "x-forwarded-proto",
      "https",
      "X-Forwarded-Anything",
      "x",
      "Forwarded",
      "for=6.6.6.6",
      "X-Edge-User",
      "root",
      "X_Edge_User",
      "root",
      "X_FORWARDED_FOR",
      "6.6.6.6",
      "x-real-ip",
      "6.6.6.6",
      "Via",
      "1.1 x",
      "Proxy",
      "evil",
      "Accept",
      "a"
    )
    assert.strictEqual(lines, "Accept: a\r\n")
  })

  it("drops the session's cookie and keeps the others", () => {
    assert.strictEqual(read("Cookie", "__Host-session=v1.a.b").lines, "")
    assert.strictEqual(read("Cookie", "a=1; __Host-session=v1.a.b; b=2").lines, "Cookie: a=1; b=2\r\n")
    assert.strictEqual(
      read("Cookie", "a=1", "cookie", "__Host-session=x;__Host-session = y ;c").lines,
      "Cookie: a=1; c\r\n"
    )
    assert.strictEqual(read("Cookie", "a=1; __Host-session=x").cookie, "a=1; __Host-session=x")
    assert.strictEqual(read("Cookie", "__Host-sessions=1").lines, "Cookie: __Host-sessions=1\r\n")
  })

  it("says how long the body is", () => {
    assert.strictEqual(read().body, "none")
    assert.strictEqual(read("Content-Length", "3").body, "length")
    assert.strictEqual(read("transfer-encoding", "Chunked").body, "chunked")
  })

  it("refuses what two parsers could read differently", () => {
    assert.isUndefined(malformed("1.1", "Host", "a"))
    assert.isDefined(malformed("1.1", "Content-Length", "3", "Transfer-Encoding", "chunked"))
    assert.isDefined(malformed("1.1", "Transfer-Encoding", "chunked", "Content-Length", "3"))
    assert.isDefined(malformed("1.1", "Content-Length", "3", "Content-Length", "3"))
    assert.isDefined(malformed("1.1", "Transfer-Encoding", "gzip, chunked"))
    assert.isDefined(malformed("1.1", "Transfer-Encoding", "x", "Transfer-Encoding", "chunked"))
    assert.isDefined(malformed("1.0", "Transfer-Encoding", "chunked"))
    assert.isDefined(malformed("1.1", "Host", "a", "Host", "b"))
    assert.isDefined(malformed("2.0", "Accept", "a"))
  })

  it("takes one host in HTTP/1.1, and one at most before", () => {
    for (const host of ["a", "a.b:80", "1.2.3.4", "[::1]:443", "a:", "", "xn--bcher-kva.example"]) {
      assert.isUndefined(malformed("1.1", "Host", host), host)
    }
    for (const host of ["a b", "a/b", "a@b", "a:b", "a:1:2", "[::1", "a?", "a#", "http://a", "a\\b", "é"]) {
      assert.strictEqual(malformed("1.1", "Host", host), "a host that is none", host)
    }
    assert.strictEqual(malformed("1.1", "Accept", "a"), "no host")
    assert.strictEqual(malformed("1.1", "Host", "a", "hOST", "a"), "two hosts")
    assert.isUndefined(malformed("1.0", "Accept", "a"))
    assert.strictEqual(malformed("1.0", "Host", "a", "Host", "a"), "two hosts")
  })

  it("takes two request ids for none, and two origins for a foreign one", () => {
    assert.strictEqual(read("X-Request-Id", "a").requestId, "a")
    assert.strictEqual(read("X-Request-Id", "a", "X-Request-Id", "b").requestId, "")
    assert.strictEqual(read("Origin", "http://a", "Origin", "http://a").origin, "http://a, http://a")
  })
})
