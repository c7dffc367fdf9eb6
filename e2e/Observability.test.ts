import { randomBytes } from "node:crypto"
import { readFile } from "node:fs/promises"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type ReceivedSpan, TestCollector } from "@edge-relay/testkit/TestCollector"
import { Browser } from "@edge-relay/testkit/SignedInBrowser"
import { Program, root, until } from "@edge-relay/testkit/Program"
import { missing, scraped } from "@edge-relay/testkit/Promql"
import { addresses, agent, edgesOf, folder, pairingCode, signIn } from "@edge-relay/testkit/RelaySystem"

/** The real processes, one of each, and a collector that all of them are told of. */
const start = async (stack: AsyncDisposableStack) => {
  const home = stack.use(await folder())
  const collector = stack.use(await TestCollector.listen())
  const at = await addresses()
  const env = {
    ...at.env,
    PUBLIC_URL: at.api,
    TUNNEL_URL: at.tunnel,
    PROXY_INTERNAL_URL: at.internal,
    INTERNAL_KEY: randomBytes(32).toString("base64"),
    SESSION_KEYS: randomBytes(32).toString("base64"),
    OIDC_ISSUER: at.provider,
    OIDC_CLIENT_ID: "edge-relay",
    OIDC_TENANT_CLAIM: "tenant",
    DATABASE_URL: `sqlite:${home.path}/relay.db`,
    HEARTBEAT_SECONDS: "0.2",
    DRAIN_SECONDS: "1",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.href
  }
  const program = (script: string, ...args: ReadonlyArray<string>) =>
    stack.use(new Program(`packages/${script}`, args, env, home.path))
  program("devkit/src/provider/main.ts")
  const api = program("server-api/src/main.ts")
  const proxy = program("server-proxy/src/main.ts")
  const local = program("devkit/src/simulated-edge/main.ts", "--port", "0")
  const [, localUrl = ""] = await local.printed(/simulated edge: (http:\S+);/)
  const ready = (url: string) =>
    until(
      async () => (await fetch(`${url}/readyz`)).status,
      (status) => status === 200
    )
  await Promise.all([ready(at.api), ready(at.internal)])

  const alice = await signIn(at.api, "alice")
  const code = await pairingCode(alice, at.api, "an edge")
  const pair = agent(["pair", code, "--url", at.api, "--to", localUrl], home.path)
  assert.strictEqual(await pair.exited, 0, pair.output)
  stack.use(agent(["run"], home.path))
  const [edge] = await until(
    () => edgesOf(alice, at.api),
    (items) => items[0]?.online === true
  )
  assert.isDefined(edge)
  return {
    ...at,
    apiMetrics: `http://127.0.0.1:${at.env["API_INTERNAL_PORT"]}/metrics`,
    proxyMetrics: `${at.internal}/metrics`,
    alice,
    collector,
    edge: `${at.api}/api/edges/${edge.id}`,
    servers: { api, proxy, local }
  }
}

const hex = (bytes: number) => randomBytes(bytes).toString("hex")

const textOf = async (url: string) => (await fetch(url)).text()

interface Target {
  readonly expr: string
  readonly legendFormat: string
}

/** Everything in the dashboard that asks Prometheus something. */
const queriesOf = (dashboard: {
  readonly panels: ReadonlyArray<{ readonly title: string; readonly targets?: ReadonlyArray<Target> }>
  readonly templating: {
    readonly list: ReadonlyArray<{ readonly type: string; readonly definition: string }>
  }
  readonly annotations: { readonly list: ReadonlyArray<{ readonly expr: string }> }
}) => [
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.annotations.list.map(({ expr }) => expr),
  // The label's name is no metric.
  ...dashboard.templating.list.flatMap(({ definition, type }) =>
    type === "query" ? [definition.replace(/, \w+\)$/, ")")] : []
  )
]

describe("what a system shows of itself", () => {
  const stack = new AsyncDisposableStack()
  let system: Awaited<ReturnType<typeof start>>
  beforeAll(async () => {
    system = await start(stack)
  }, 120_000)
  afterAll(() => stack.disposeAsync())

  const spansOf = (traceId: string, count: number) =>
    until(
      async () => system.collector.spans.filter((span) => span.traceId === traceId),
      (spans) => spans.length >= count
    )

  it("is one trace of a request, from the browser over both servers to the edge", async () => {
    const { alice, edge } = system
    // A connection that is kept was dialled in the trace of another request: a new tunnel has none.
    const connectedAt = async () =>
      /"connectedAt":"([^"]+)"/.exec((await alice.send("GET", `${edge}/session`)).text)?.[1]
    const before = await connectedAt()
    assert.isDefined(before)
    assert.strictEqual((await alice.send("POST", `${edge}/disconnect`)).status, 204)
    await until(connectedAt, (at) => at !== undefined && at !== before)
    const traceId = hex(16)
    const browsersSpan = hex(8)
    const answer = await alice.send("GET", `${edge}/system/info?secret=hunter2`, {
      traceparent: `00-${traceId}-${browsersSpan}-01`
    })
    assert.strictEqual(answer.status, 200, answer.text)
    const spans = await spansOf(traceId, 4)
    const find = (service: string, kind: number) => {
      const found = spans.filter((span) => span.service === service && span.kind === kind)
      assert.strictEqual(found.length, 1, `${service} ${kind}: ${JSON.stringify(spans)}`)
      return found[0] as ReceivedSpan
    }
    const [server, client] = [2, 3]
    const gateway = find("edge-relay-api", server)
    const dial = find("edge-relay-api", client)
    const stream = find("edge-relay-proxy", server)
    const local = find("simulated-edge", server)
    assert.strictEqual(gateway.parentSpanId, browsersSpan)
    assert.strictEqual(dial.parentSpanId, gateway.spanId)
    assert.strictEqual(stream.parentSpanId, dial.spanId)
    assert.strictEqual(local.parentSpanId, gateway.spanId)
    assert.strictEqual(gateway.attributes.get("edge_relay.request_id"), answer.headers["x-request-id"])
    assert.strictEqual(gateway.attributes.get("http.response.status_code"), 200)
    assert.strictEqual(local.attributes.get("url.path"), "/system/info")
  })

  it("is one trace of a request to the API itself, and none of what nobody asked to keep", async () => {
    const { alice, api, edge } = system
    const [kept, unkept] = [hex(16), hex(16)]
    const parent = hex(8)
    await alice.send("GET", `${edge}/system/info`, { traceparent: `00-${unkept}-${parent}-00` })
    await alice.send("GET", `${api}/api/edges`, { traceparent: `00-${unkept}-${parent}-00` })
    await alice.send("GET", `${api}/api/edges`, { traceparent: `00-${kept}-${parent}-01` })
    const spans = await spansOf(kept, 1)
    const handler = await until(
      async () =>
        system.collector.spans.find((span) => span.traceId === kept && span.parentSpanId === parent),
      (span) => span !== undefined
    )
    assert.deepInclude(handler, { service: "edge-relay-api", kind: 2 })
    assert.isNotEmpty(spans)
    assert.isEmpty(system.collector.spans.filter(({ traceId }) => traceId === unkept))
  })

  it("tells the collector no secret", async () => {
    const { alice, api, collector, edge } = system
    await alice.send("GET", `${edge}/http/?secret=hunter2`)
    await new Browser().send("GET", `${api}/api/auth/callback?code=hunter2&state=hunter2`)
    const { status } = await alice.json("GET", `${api}/api/pairing/requests/HUNT-ER22`)
    assert.strictEqual(status, 404)
    const traceId = hex(16)
    await alice.send("GET", `${api}/api/edges`, { traceparent: `00-${traceId}-${hex(8)}-01` })
    await spansOf(traceId, 1)
    await until(
      async () =>
        collector.spans.some(({ attributes }) => attributes.get("url.path") === "/api/auth/callback"),
      (seen) => seen
    )
    for (const secret of [
      "hunter2",
      "HUNT-ER22",
      alice.cookieFor(api).split("=")[1] ?? "",
      "ert_",
      "Bearer"
    ]) {
      assert.isFalse(collector.text.includes(secret), secret)
    }
  })

  it("is what the dashboard and the document say: each metric, each label", async () => {
    const { alice, api, apiMetrics, edge, proxyMetrics } = system
    // So that everything has happened that the dashboard shows.
    assert.strictEqual((await alice.send("GET", `${edge}/system/info`)).status, 200)
    await new Browser().send("GET", `${api}/api/auth/callback?code=x&state=x`)
    await new Browser().json("POST", `${api}/api/auth/backchannel-logout`, {})
    const other = await signIn(api, "alice")
    await other.json("POST", `${api}/api/auth/logout`)
    const series = await until(
      async () => scraped(...(await Promise.all([apiMetrics, proxyMetrics].map(textOf)))),
      (found) => found.has("sign_in_sessions_ended_total") && found.has("gateway_requests_total")
    )

    const dashboard = JSON.parse(await readFile(`${root}docs/grafana-dashboard.json`, "utf8"))
    const queries = queriesOf(dashboard)
    assert.isAbove(queries.length, 25)
    for (const query of queries) assert.deepStrictEqual(missing(query, series), [], query)
    for (const { legendFormat, expr } of dashboard.panels.flatMap(
      ({ targets = [] }: { readonly targets?: ReadonlyArray<Target> }) => targets
    )) {
      for (const [, label] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        assert.match(expr, new RegExp(`by \\([^)]*\\b${label}\\b[^)]*\\)`), `${legendFormat} of ${expr}`)
      }
    }

    const document = await readFile(`${root}docs/metrics.md`, "utf8")
    const rows = new Map(
      Array.from(document.matchAll(/^\| `(\w+)` *\|[^|]+\|([^|]+)\|/gm), ([, name = "", labels = ""]) => [
        name,
        labels.match(/\w+(?=`)/g) ?? []
      ])
    )
    for (const [name, labels] of series) {
      const documented = rows.get(name.replace(/_(bucket|sum|count)$/, "")) ?? rows.get(name)
      assert.isDefined(documented, `docs/metrics.md says nothing of ${name}`)
      const own = [...labels].filter((label) => label !== "le")
      assert.deepStrictEqual(own.sort(), [...documented].sort(), name)
    }
  })

  it.each(["server-api/src/main.ts", "server-proxy/src/main.ts", "devkit/src/simulated-edge/main.ts"])(
    "is not begun by %s where the collector's address is none",
    async (script) => {
      await using home = await folder()
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" }
      await using program = new Program(`packages/${script}`, [], env, home.path)
      assert.strictEqual(await program.exited, 78, program.output)
      assert.match(program.output, /OTEL_EXPORTER_OTLP_ENDPOINT must be a URL that begins with http/)
    }
  )

  it("says so where a query asks for what is not there", () => {
    const series = scraped('a_total{code="200",cause="x"} 1\nb_bucket{le="1"} 2\nb_bucket{le="+Inf"} 3\nc 4')
    assert.deepStrictEqual(
      missing('sum by (code) (rate(a_total{job="j", code=~"5.."}[5m])) / on() max(c) > 1e3', series),
      []
    )
    assert.deepStrictEqual(missing("histogram_quantile(0.9, sum by (le) (rate(b_bucket[1m])))", series), [])
    assert.deepStrictEqual(missing('sum by (edge) (rate(a_totals{kind="x"}[1m]))', series), [
      "metric a_totals",
      "label kind of a_totals",
      "label edge to group by"
    ])
    assert.deepStrictEqual(missing("rates(c[1m])", series), ["function rates"])
  })
})

/** A system of its own, since it ends with it. */
describe("what a system shows of itself to a collector that does not answer", () => {
  it("costs requests nothing, and a stop little", async () => {
    await using stack = new AsyncDisposableStack()
    const { alice, api, collector, edge, servers } = await start(stack)
    collector.answer = "never"
    const ask = async () => {
      const answer = await alice.send("GET", `${edge}/system/info`, {
        traceparent: `00-${hex(16)}-${hex(8)}-01`
      })
      assert.strictEqual(answer.status, 200, answer.text)
    }
    const tenTimes = () => Promise.all(Array.from({ length: 10 }, ask))
    await until(
      async () => {
        await tenTimes()
        return collector.open
      },
      (open) => open > 0
    )
    // Answered while the collector still owes its answers.
    await tenTimes()
    assert.isAbove(collector.open, 0)
    assert.strictEqual((await alice.send("GET", `${api}/api/edges`)).status, 200)
    const statuses = await Promise.all(Object.values(servers).map((server) => server.stop("SIGTERM")))
    assert.deepStrictEqual(statuses, [0, 0, 0])
  }, 180_000)
})
