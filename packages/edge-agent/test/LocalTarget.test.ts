import { assert, describe, it } from "vitest"
import { parse } from "../src/LocalTarget.ts"

const local = (origin: string, hostHeader = "public") => ({ local: { origin, hostHeader } })

describe("LocalTarget", () => {
  it.each([
    ["http://127.0.0.1:8080", { host: "127.0.0.1", port: 8080, ...local("http://127.0.0.1:8080") }],
    ["http://camera.local", { host: "camera.local", port: 80, ...local("http://camera.local") }],
    ["http://[::1]:9000/", { host: "::1", port: 9000, ...local("http://[::1]:9000") }],
    ["tcp://192.168.1.20:22", { host: "192.168.1.20", port: 22 }],
    ["unix:/run/app.sock", { path: "/run/app.sock" }],
    ["https://nas.local", { host: "nas.local", port: 443, tls: {}, ...local("https://nas.local") }],
    ["https://[::1]:8443", { host: "::1", port: 8443, tls: {}, ...local("https://[::1]:8443") }],
    [
      "https://nas:1?ca=/etc/my%20ca.pem",
      { host: "nas", port: 1, tls: { caFile: "/etc/my ca.pem" }, ...local("https://nas:1") }
    ],
    [
      "https+insecure://127.0.0.1:8443",
      { host: "127.0.0.1", port: 8443, tls: { isInsecure: true }, ...local("https://127.0.0.1:8443") }
    ],
    [
      "http://vite:5173?host-header=local",
      { host: "vite", port: 5173, ...local("http://vite:5173", "local") }
    ],
    [
      "https+insecure://[fe80::1]",
      { host: "fe80::1", port: 443, tls: { isInsecure: true }, ...local("https://[fe80::1]") }
    ]
  ])("reads %s", (text, target) => assert.deepEqual(parse(text), target))

  it.each([
    "",
    "8080",
    "https://127.0.0.1:8443/path",
    "https://127.0.0.1:8443?ca=",
    "https://127.0.0.1:8443?insecure",
    "https://127.0.0.1:8443?ca=/a&ca=/b",
    "https+insecure://127.0.0.1:8443?ca=/a",
    "http://h:1?host-header=other",
    "http://h:1?host-header=local&host-header=local",
    "tcp://h:1?host-header=local",
    "http+insecure://127.0.0.1:8443",
    "tcp://h:1?ca=/a",
    "http://a@b:1",
    "http://h:1/path",
    "tcp://h",
    "unix:relative",
    "http://h:1?q"
  ])("refuses %j", (text) => assert.isUndefined(parse(text)))
})
