import type { ServiceTarget } from "@edge-relay/tunnel/agent/LocalService"
import { Schema, SchemaGetter } from "effect"

/**
 * Where a local service listens, as a person writes it: `http://127.0.0.1:8080`, `tcp://192.168.1.20:22` or
 * `unix:/run/app.sock`. The cloud speaks plain HTTP to it: TLS ends at the cloud's own door.
 */
export const parse = (text: string): ServiceTarget | undefined => {
  if (text.startsWith("unix:/")) return { path: text.slice("unix:".length) }
  const url = URL.parse(text)
  if (url === null || url.hostname === "" || url.username !== "" || url.search !== "" || url.hash !== "") {
    return undefined
  }
  if (url.pathname !== "/" && url.pathname !== "") return undefined
  const host = url.hostname.replace(/^\[|\]$/g, "")
  if (url.protocol === "http:") return { host, port: url.port === "" ? 80 : Number(url.port) }
  return url.protocol === "tcp:" && url.port !== "" ? { host, port: Number(url.port) } : undefined
}

/** The text of a target, checked. */
export const LocalTarget = Schema.String.check(
  Schema.makeFilter((text) =>
    parse(text) !== undefined
      ? undefined
      : "expected http://HOST:PORT, tcp://HOST:PORT or unix:/PATH, without a path behind the port"
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
