import { assert, describe, it } from "@effect/vitest"
import * as GatewayRoute from "../../src/access/GatewayRoute.ts"

const target = (method: string, url: string) => GatewayRoute.parse(method, url)?.target

describe("GatewayRoute", () => {
  it("takes what follows /http byte for byte", () => {
    for (const rest of [
      "/",
      "/a/b",
      "//a//",
      "/a%2Fb",
      "/..;/x",
      "/../../y",
      "/%00",
      "/a?b=/c?d&e#",
      "/?",
      "/%C3%A9"
    ]) {
      assert.strictEqual(target("GET", `/api/edges/edge_1/http${rest}`), rest)
    }
  })

  it("takes /http without a path for the root", () => {
    assert.strictEqual(target("GET", "/api/edges/edge_1/http"), "/")
    assert.strictEqual(target("GET", "/api/edges/edge_1/http?a=b"), "/?a=b")
  })

  it("says which part it took off", () => {
    const route = GatewayRoute.parse("PUT", "/api/edges/edge_1/http/x")
    assert.deepStrictEqual(route, { edgeId: "edge_1", target: "/x", prefix: "/api/edges/edge_1/http" })
    const mounted = GatewayRoute.parse("GET", "/api/edges/edge_1/devices?limit=2")
    assert.deepStrictEqual(mounted, {
      edgeId: "edge_1",
      target: "/devices?limit=2",
      prefix: "/api/edges/edge_1"
    })
  })

  it("takes the edge API's own endpoints, by method and path", () => {
    assert.strictEqual(target("GET", "/api/edges/e/system/info"), "/system/info")
    assert.strictEqual(target("HEAD", "/api/edges/e/system/info"), "/system/info")
    assert.strictEqual(
      target("POST", "/api/edges/e/devices/d1/inference/start"),
      "/devices/d1/inference/start"
    )
    assert.strictEqual(target("GET", "/api/edges/e/devices/d%2F1"), "/devices/d%2F1")
    assert.strictEqual(target("PATCH", "/api/edges/e/clusters/c1"), "/clusters/c1")
    assert.strictEqual(target("GET", "/api/edges/e/cameras/c1/stream?fps=5"), "/cameras/c1/stream?fps=5")
  })

  it("leaves the cloud's own endpoints, other methods and other paths alone", () => {
    for (const [method, url] of [
      ["GET", "/api/edges"],
      ["GET", "/api/edges/e"],
      ["GET", "/api/edges/e/session"],
      ["POST", "/api/edges/e/disconnect"],
      ["POST", "/api/edges/e/token/rotate"],
      ["GET", "/api/edges/e/traffic"],
      ["DELETE", "/api/edges/e/system/info"],
      ["GET", "/api/edges/e/system"],
      ["GET", "/api/edges/e/system/info/"],
      ["GET", "/api/edges/e/httpx"],
      ["GET", "/api/edges/e/%68ttp/"],
      ["GET", "/API/edges/e/http/"],
      ["GET", "//api/edges/e/http/"],
      ["GET", "http://other/api/edges/e/http/"],
      ["OPTIONS", "*"]
    ] as const) {
      assert.isUndefined(GatewayRoute.parse(method, url), `${method} ${url}`)
    }
  })
})
