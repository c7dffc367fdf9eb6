import { request } from "node:http"
import { Program, until } from "@edge-relay/testkit/Program"
import { addresses, agent, edgesOf, folder, pairingCode, signIn } from "@edge-relay/testkit/RelaySystem"

/**
 * How soon `GET /api/edges/events` tells what happened: a rename (through the database), and an edge that comes and
 * goes (through the proxy). From the answer to the rename, or the agent's own first or last word, to the event.
 * The bar: 500 ms.   npm run bench -- live
 */

const barMillis = 500

await using home = await folder()
await using state = await folder()
const at = await addresses()
await using system = new Program("packages/devkit/src/start.ts", [], at.env, home.path)
await system.printed(/Ctrl-C/)
const alice = await signIn(at.api, "alice")
const [edge] = await until(
  () => edgesOf(alice, at.api),
  (all) => all[0]?.online === true
)
if (edge === undefined) throw new Error("no edge")

const seen: Array<{ readonly text: string; readonly at: number }> = []
const events = request(
  `${at.api}/api/edges/events`,
  { headers: { cookie: alice.cookieFor(at.api) } },
  (response) => {
    response.setEncoding("utf8").on("data", (text: string) => seen.push({ text, at: performance.now() }))
  }
)
events.end()

const arrival = async (since: number, ...parts: ReadonlyArray<string>): Promise<number> => {
  const found = await until(
    async () => seen.find((one) => one.at >= since && parts.every((part) => one.text.includes(part))),
    (one) => one !== undefined
  )
  return found?.at ?? Number.NaN
}

const say = (what: string, millis: Array<number>): void => {
  millis.sort((a, b) => a - b)
  const max = millis.at(-1) ?? Number.NaN
  const median = millis[Math.floor(millis.length / 2)] ?? Number.NaN
  if (!(max < barMillis)) process.exitCode = 1
  console.log(
    `${what.padEnd(12)} median ${median.toFixed(0)} ms   max ${max.toFixed(0)} ms   (${millis.length} times)`
  )
}

const renames: Array<number> = []
for (let n = 0; n < 50; n++) {
  const began = performance.now()
  await alice.json("PATCH", `${at.api}/api/edges/${edge.id}`, { name: `edge ${n}` })
  const answered = performance.now()
  renames.push(Math.max(0, (await arrival(began, "edge.updated", `"edge ${n}"`)) - answered))
}
say("renamed", renames)

const code = await pairingCode(alice, at.api, "comes and goes")
if ((await agent(["pair", code, "--url", at.api], state.path).exited) !== 0) throw new Error("not paired")
const second = (await edgesOf(alice, at.api)).find((one) => one.id !== edge.id)
if (second === undefined) throw new Error("no second edge")
const [online, offline]: [Array<number>, Array<number>] = [[], []]
for (let n = 0; n < 10; n++) {
  const began = performance.now()
  await using running = agent(["run"], state.path)
  await running.printed(/connected to/)
  const connected = performance.now()
  online.push(Math.max(0, (await arrival(began, "edge.online", second.id)) - connected))
  const stopping = performance.now()
  await running.stop("SIGKILL")
  offline.push((await arrival(stopping, "edge.offline", second.id)) - stopping)
}
say("online", online)
say("offline", offline)
events.destroy()
await system.stop()
