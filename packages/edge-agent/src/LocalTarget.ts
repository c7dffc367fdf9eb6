import type { ServiceTarget } from "@edge-relay/tunnel/agent/LocalConnection"
import { Schema, SchemaGetter } from "effect"

/**
 * Where a local service listens, as a person writes it: `http://127.0.0.1:8080`, `https://nas.local:8443`,
 * `tcp://192.168.1.20:22` or `unix:/run/app.sock`. Over https its certificate is checked, with `?ca=FILE` against the
 * authorities of that file; `https+insecure://` takes any certificate, for that one target.
 */
export const parse = (text: string): ServiceTarget | undefined => {
  if (text.startsWith("unix:/")) return { path: text.slice("unix:".length) }
  const url = URL.parse(text)
  if (url === null || url.hostname === "" || url.username !== "" || url.hash !== "") return undefined
  if (url.pathname !== "/" && url.pathname !== "") return undefined
  if (url.search !== "" && url.protocol !== "https:") return undefined
  const host = url.hostname.replace(/^\[|\]$/g, "")
  const port = url.port === "" ? defaultPorts.get(url.protocol) : Number(url.port)
  if (port === undefined) return undefined
  switch (url.protocol) {
    case "http:":
    case "tcp:":
      return { host, port }
    case "https+insecure:":
      return { host, port, tls: { isInsecure: true } }
    case "https:": {
      if (url.search === "") return { host, port, tls: {} }
      const [[name, caFile] = [], ...others] = url.searchParams
      const isCa = name === "ca" && caFile !== undefined && caFile !== "" && others.length === 0
      return isCa ? { host, port, tls: { caFile } } : undefined
    }
    default:
      return undefined
  }
}

const defaultPorts: ReadonlyMap<string, number> = new Map([
  ["http:", 80],
  ["https:", 443],
  ["https+insecure:", 443]
])

/** The text of a target, checked. */
export const LocalTarget = Schema.String.check(
  Schema.makeFilter((text) =>
    parse(text) !== undefined
      ? undefined
      : "expected http://HOST:PORT, https://HOST:PORT (with ?ca=FILE for an authority of your own), https+insecure://HOST:PORT, tcp://HOST:PORT or unix:/PATH, without a path behind the port"
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
