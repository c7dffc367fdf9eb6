import { Option, Schema } from "effect"
import { EdgeId } from "../ids/EdgeId.ts"

/**
 * The host of its own that each edge has under `EDGE_DOMAIN`: `<label>.<EDGE_DOMAIN>`, and for each further HTTP
 * service `<service>--<label>.<EDGE_DOMAIN>`. One label deep, so that one wildcard record and certificate suffice.
 * The label is the edge's id without its prefix: it needs no table, never changes, and says nothing of the tenant.
 */
export interface EdgeHost {
  readonly edgeId: EdgeId
  readonly service: string
}

/** The service behind the host without a prefix. */
export const defaultService = "http"

const labelLength = 26
/** A DNS label has 63 characters (RFC 1035 §2.3.4), of which two hyphens and the edge's label take 28. */
const servicePattern = /^(?!xn$)[a-z\d](?:[a-z\d-]{0,33}[a-z\d])?$/
const prefix = "edge_"
const isEdgeId = Schema.is(EdgeId)

/** An edge's host, with `EDGE_DOMAIN`'s port; none where the service's name is not fit for DNS. */
export const of = (edgeDomain: string, { edgeId, service }: EdgeHost): Option.Option<string> => {
  const label = edgeId.slice(prefix.length)
  if (service === defaultService) return Option.some(`${label}.${edgeDomain}`)
  return servicePattern.test(service) ? Option.some(`${service}--${label}.${edgeDomain}`) : Option.none()
}

/** An edge's host as a `Host` names it, and as browsers call it: lower case, with `EDGE_DOMAIN`'s port. */
export interface NamedHost extends EdgeHost {
  readonly host: string
}

/** What a `Host` names; "unknown" for a host under `edgeDomain` that is no edge's, undefined for any other host. */
export const parse = (edgeDomain: string, host: string): NamedHost | "unknown" | undefined => {
  const name = withoutPort(host).toLowerCase()
  const domain = withoutPort(edgeDomain)
  if (!name.endsWith(domain)) return undefined
  if (name.length === domain.length) return "unknown"
  if (name[name.length - domain.length - 1] !== ".") return undefined
  const label = name.slice(0, -domain.length - 1)
  const edgeId = prefix + label.slice(-labelLength)
  if (!isEdgeId(edgeId)) return "unknown"
  const named = { edgeId, host: `${label}.${edgeDomain}` }
  const before = label.slice(0, -labelLength)
  if (before === "") return { ...named, service: defaultService }
  const service = before.endsWith("--") ? before.slice(0, -2) : ""
  return service !== defaultService && servicePattern.test(service) ? { ...named, service } : "unknown"
}

/** Also without the dot of the root: browsers take `host.` for another host, and it must not be ours. */
const withoutPort = (host: string): string => host.replace(/\.?(?::\d*)?$/, "")
