import type { LocalServer } from "@edge-relay/domain/tunnels/LocalServer"
import type { ServiceTarget } from "@edge-relay/tunnel/agent/LocalConnection"
import { Schema, SchemaGetter } from "effect"

/**
 * Where a local service listens, as a person writes it: `http://127.0.0.1:8080`, `https://nas.local:8443`,
 * `tcp://192.168.1.20:22` or `unix:/run/app.sock`. Over https its certificate is checked, with `?ca=FILE` against the
 * authorities of that file; `https+insecure://` takes any certificate, for that one target. With `?host-header=local`
 * an HTTP server reads its own address in requests, and not the one in the browser.
 */
export const parse = (text: string): ServiceTarget | undefined => {
  if (text.startsWith("unix:/")) return { path: text.slice("unix:".length) }
  const url = URL.parse(text)
  if (url === null || url.hostname === "" || url.username !== "" || url.hash !== "") return undefined
  if (url.pathname !== "/" && url.pathname !== "") return undefined
  const scheme = url.protocol.slice(0, -1)
  const port = url.port === "" ? defaultPorts.get(scheme) : Number(url.port)
  if (port === undefined) return undefined
  const address = { host: url.hostname.replace(/^\[|\]$/g, ""), port }
  if (scheme === "tcp") return url.search === "" ? address : undefined
  const options = optionsOf(url.searchParams)
  if (options === undefined || (options.ca !== undefined && scheme !== "https")) return undefined
  const { ca, hostHeader } = options
  const local = { origin: `${scheme === "http" ? "http" : "https"}://${url.host}`, hostHeader }
  switch (scheme) {
    case "http":
      return { ...address, local }
    case "https+insecure":
      return { ...address, local, tls: { isInsecure: true } }
    case "https":
      return { ...address, local, tls: ca === undefined ? {} : { caFile: ca } }
    default:
      return undefined
  }
}

/** Each at most once, and no others. */
const optionsOf = (query: URLSearchParams) => {
  let ca: string | undefined
  let hostHeader: LocalServer["hostHeader"] | undefined
  for (const [name, value] of query) {
    if (name === "ca" && value !== "" && ca === undefined) ca = value
    else if (name === "host-header" && hostHeader === undefined && isHostHeader(value)) hostHeader = value
    else return undefined
  }
  return { ca, hostHeader: hostHeader ?? "public" }
}

const isHostHeader = (value: string): value is LocalServer["hostHeader"] =>
  value === "local" || value === "public"

const defaultPorts: ReadonlyMap<string, number> = new Map([
  ["http", 80],
  ["https", 443],
  ["https+insecure", 443]
])

/** The text of a target, checked. */
export const LocalTarget = Schema.String.check(
  Schema.makeFilter((text) =>
    parse(text) !== undefined
      ? undefined
      : "expected http://HOST:PORT, https://HOST:PORT (with ?ca=FILE for an authority of your own), https+insecure://HOST:PORT, tcp://HOST:PORT or unix:/PATH, without a path behind the port; ?host-header=local for a server that wants its own address in requests"
  )
)

/** `ssh=tcp://127.0.0.1:22` */
export const NamedTarget = Schema.String.pipe(
  Schema.decodeTo(
    Schema.Struct({ name: Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9-]{0,31}$/)), to: LocalTarget }),
    {
      decode: SchemaGetter.transform((text) => {
        const at = text.indexOf("=")
        return { name: text.slice(0, Math.max(at, 0)), to: text.slice(at + 1) }
      }),
      encode: SchemaGetter.transform(({ name, to }) => `${name}=${to}`)
    }
  )
)
