import { assert, describe, it } from "@effect/vitest"
import { format } from "../../src/client/SshHosts.ts"

const options = {
  service: "ssh",
  user: undefined,
  command: ["/usr/bin/edge-relay", "connect", "--url", "https://relay.example.com"],
  knownHosts: "/home/pi/.config/edge-relay/known_hosts"
}
const hosts = (...names: ReadonlyArray<string>) =>
  Array.from(
    format(
      names.map((name, index) => ({ id: `edge_0000000${index}`, name })),
      options
    ).matchAll(/^Host (.*)$/gm),
    ([, host]) => host
  )

describe("The lines of ssh-config", () => {
  it("name an edge, connect by its id, and know its key by its id alone", () => {
    const lines = format([{ id: "edge_01h", name: "Press 4" }], { ...options, user: "pi" })
    assert.strictEqual(
      lines,
      [
        "# Press 4",
        "Host press-4.edge",
        "  HostName edge_01h",
        "  User pi",
        "  ProxyCommand /usr/bin/edge-relay connect --url https://relay.example.com edge_01h ssh",
        "  HostKeyAlias edge_01h",
        "  StrictHostKeyChecking accept-new",
        '  UserKnownHostsFile "/home/pi/.config/edge-relay/known_hosts"',
        "  CheckHostIP no"
      ].join("\n")
    )
  })

  it("make a host of every name, and two of two that would be one", () => {
    assert.deepStrictEqual(hosts("Küche / Süd", "a", "  b_c  "), ["kuche-sud.edge", "a.edge", "b-c.edge"])
    assert.deepStrictEqual(hosts("Press 4", "press-4"), ["press-4-000000.edge", "press-4-000001.edge"])
    assert.deepStrictEqual(hosts("日本"), ["000000.edge"])
  })

  it("survive the shell, and what ssh takes for a token", () => {
    const command = ["/opt/it's 100%/edge-relay", "connect"]
    const lines = format([{ id: "edge_01h", name: "a" }], { ...options, command })
    assert.include(lines, `ProxyCommand '/opt/it'\\''s 100%%/edge-relay' connect edge_01h ssh`)
  })
})
