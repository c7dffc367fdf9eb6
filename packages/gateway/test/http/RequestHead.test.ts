import { assert, describe, it } from "@effect/vitest"
import * as RequestHead from "../../src/http/RequestHead.ts"

const read = (...rawHeaders: ReadonlyArray<string>) => {
  const head = RequestHead.read(["Host", "h", ...rawHeaders], "1.1", "our-origin")
  if ("malformed" in head) throw new Error(head.malformed)
  return head
}

const malformed = (version: string, ...rawHeaders: ReadonlyArray<string>) => {
  const head = RequestHead.read(rawHeaders, version, "our-origin")
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

  it("gives an edge on our origin no cookie at all, whosever it is", () => {
    assert.strictEqual(read("Cookie", "__Host-session=v1.a.b").lines, "")
    assert.strictEqual(read("Cookie", "_session=provider; a=1", "cookie", "b=2").lines, "")
    assert.strictEqual(read("Cookie", "a=1; __Host-session=x").cookie, "a=1; __Host-session=x")
  })

  it("gives an edge on its own host its cookies, and none of ours", () => {
    const readAtHost = (value: string) => {
      const head = RequestHead.read(["Host", "h", "Cookie", value], "1.1", "edge-host")
      return "malformed" in head ? head.malformed : head.lines
    }
    assert.strictEqual(readAtHost("__Host-edge-relay-session=x"), "")
    assert.strictEqual(
      readAtHost("a=1; __Host-edge-relay-session=x;edge-relay-session = y ;EDGE-RELAY-attempt-1=z; b=2"),
      "Cookie: a=1; b=2\r\n"
    )
    assert.strictEqual(readAtHost("__Host-mine=1; session=2"), "Cookie: __Host-mine=1; session=2\r\n")
  })

  it("passes Authorization to an edge on its own host alone", () => {
    assert.strictEqual(read("Authorization", "Bearer x").lines, "")
    const head = RequestHead.read(["Host", "h", "Authorization", "Basic eA=="], "1.1", "edge-host")
    assert.strictEqual("lines" in head && head.lines, "Authorization: Basic eA==\r\n")
    const forged = RequestHead.read(
      ["Host", "h", "X_Edge_User", "x", "x-forwarded_for", "y"],
      "1.1",
      "edge-host"
    )
    assert.strictEqual("lines" in forged && forged.lines, "")
  })

  it.each([
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Client-IP",
    "Fastly-Client-IP",
    "Forwarded",
    "X-Forwarded",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-Http-Method",
    "X-Method-Override",
    "x_real_ip",
    "x_original_url"
  ])("takes %s off, which a program behind takes for the truth", (name) => {
    assert.strictEqual(read(name, "1").lines, "")
    const head = RequestHead.read(["Host", "h", name, "1"], "1.1", "edge-host")
    assert.strictEqual("lines" in head && head.lines, "")
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
