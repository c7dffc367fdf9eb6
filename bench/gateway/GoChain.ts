import type { Chain } from "./Chain.ts"
import { freePort, Program } from "./Program.ts"

/** The yardstick: `go-reference`, its three roles as three processes. */
export const startGoChain = async (binary: string, originPort: number): Promise<Chain> => {
  const [api, tunnel, internal] = [await freePort(), await freePort(), await freePort()]
  const tunnelUrl = `ws://127.0.0.1:${tunnel}/tunnel/connect`
  const agentOf = (...args: ReadonlyArray<string>) =>
    Program.start(
      "agent",
      [binary, "agent", "-url", tunnelUrl, "-local", `127.0.0.1:${originPort}`, ...args],
      {
        ready: "connected"
      }
    )
  const proxy = await Program.start(
    "proxy",
    // It says nothing when it listens; its agent is what finds out.
    [
      "/bin/sh",
      "-c",
      `echo started; exec ${binary} proxy -tunnel 127.0.0.1:${tunnel} -internal 127.0.0.1:${internal}`
    ],
    { ready: "started" }
  )
  await new Promise((resolve) => setTimeout(resolve, 500))
  const server = await Program.start(
    "api",
    [binary, "api", "-listen", `127.0.0.1:${api}`, "-proxy", `http://127.0.0.1:${internal}`],
    { ready: "cookie: " }
  )
  const agent = await agentOf("-token", "edge")
  const programs = [server, proxy, agent]
  return {
    name: "Go",
    url: `http://127.0.0.1:${api}/api/edges/edge/http`,
    cookie: /cookie: (\S+)/.exec(server.output)?.[1] ?? "",
    programs,
    openIdle: async (count) => {
      const idle = await agentOf("-token", "idle", "-count", String(count))
      return () => idle.stop()
    }
  }
}
