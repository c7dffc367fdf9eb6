import type { CloudApi } from "@edge-relay/domain/api/CloudApi"
import type { Schema } from "effect"
import { Problem } from "./Problem.ts"

/**
 * The contract as types alone: `CloudApi` says which endpoints there are, what each takes and what it answers, in JSON.
 * Nothing of it runs here: its schemas weigh more than the whole page may.
 */
type Groups = (typeof CloudApi)["groups"]
type Endpoint = { [G in keyof Groups]: Groups[G]["endpoints"][keyof Groups[G]["endpoints"]] }[keyof Groups]

/** An endpoint as one writes it: `GET /api/edges/:edgeId`. */
export type Route = Endpoint extends infer E
  ? E extends { readonly method: infer Method extends string; readonly path: infer Path extends string }
    ? `${Method} ${Path}`
    : never
  : never

type EndpointOf<R extends Route> = Extract<
  Endpoint,
  R extends `${infer Method} ${infer Path}` ? { readonly method: Method; readonly path: Path } : never
>

/** What goes over the wire. */
type Encoded<Codec> = [Codec] extends [never]
  ? never
  : Codec extends { readonly schema: infer S extends Schema.Top }
    ? S["Encoded"]
    : void

type Part<Name extends string, Codec> = [Codec] extends [never]
  ? unknown
  : { readonly [N in Name]: Encoded<Codec> }

type Query<Codec> = [Codec] extends [never] ? unknown : { readonly query?: Encoded<Codec> }

/** What a request of that endpoint takes. */
export type Input<R extends Route> = Part<"params", EndpointOf<R>["~Params"]> &
  Query<EndpointOf<R>["~Query"]> &
  Part<"body", EndpointOf<R>["~Payload"]>

/** What that endpoint answers. */
export type Output<R extends Route> = Encoded<EndpointOf<R>["~Success"]>

export type Edge = Output<"GET /api/edges/:edgeId">
export type Me = Output<"GET /api/auth/me">
export type SignIn = Output<"GET /api/auth/sessions">["items"][number]
export type AuditEvent = Output<"GET /api/audit">["items"][number]
export type AccessToken = Output<"GET /api/tokens">["items"][number]
export type NewCode = Output<"POST /api/pairing/codes">
export type PairingRequest = Output<"GET /api/pairing/requests/:userCode">

/** Parts of a request as they are put together; the types above have checked what is in them. */
interface Parts {
  readonly params?: { readonly [name: string]: string }
  readonly query?: { readonly [name: string]: unknown }
  readonly body?: unknown
}

let whenSignedOut = (): void => {}

/** Who is told that the session has ended, whichever request finds it out. */
export const onSignedOut = (callback: () => void): void => {
  whenSignedOut = callback
}

/** Fails with a {@link Problem}; one of code `unreachable` where no answer came at all. */
export const call = async <R extends Route>(
  route: R,
  // An endpoint that takes nothing needs no second argument.
  ...[input]: unknown extends Input<R> ? [] : object extends Input<R> ? [input?: Input<R>] : [input: Input<R>]
): Promise<Output<R>> => {
  const [method = "", path = ""] = route.split(" ")
  // Typed by the contract above; here it is text.
  const { body, params = {}, query = {} } = (input ?? {}) as Parts
  const target = path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ""))
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value))
  const response = await fetch(search.size === 0 ? target : `${target}?${search}`, {
    method,
    ...(body !== undefined && {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
  }).catch(() => {
    throw new Problem(0, { code: "unreachable" })
  })
  const text = await response.text()
  if (!response.ok) {
    const problem = Problem.parse(response.status, text)
    if (response.status === 401) whenSignedOut()
    throw problem
  }
  // The contract's word: the server encodes its answers with the schema that this type comes from.
  return (text === "" ? undefined : JSON.parse(text)) as Output<R>
}
