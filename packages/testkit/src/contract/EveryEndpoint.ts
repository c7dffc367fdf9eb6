import { type Scope } from "@edge-relay/domain/access-tokens/Scope"
import { TokenScope } from "@edge-relay/domain/access-tokens/TokenScope"
import { Authorization } from "@edge-relay/domain/api/Authorization"
import { PublicApi } from "@edge-relay/domain/api/CloudApi"
import { NeededRole, type Role } from "@edge-relay/domain/sign-in/Role"
import { assert } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import { type Answer, type Ask, ask } from "../api/TestApi.ts"

/** The contract's endpoints, how to call each of them, and what must be there for them to be called upon. */
export interface Walked {
  readonly url: string
  /** The cookie of a new session of that person's, each of whom is in a tenant of their own. */
  readonly signIn: (person: "alice" | "bob") => Effect.Effect<string>
}

export interface Endpoint {
  readonly name: string
  readonly method: string
  readonly path: string
  readonly isPublic: boolean
  /** What a token needs to call it. */
  readonly scope: Scope | "any" | "none"
  readonly role: Role
}

export const mounted = "/api/edges/:edgeId/"

export const endpoints: ReadonlyArray<Endpoint> = Object.values(PublicApi.groups).flatMap((group) =>
  Object.values(group.endpoints).map((endpoint) => {
    const method = String(endpoint.method)
    const isOurs = endpoint.middlewares.has(Authorization)
    const isMounted = !isOurs && endpoint.path.startsWith(mounted)
    const isStream = isMounted && endpoint.path.includes("/services/")
    const scope = Context.get(endpoint.annotations, TokenScope)
    return {
      name: `${method} ${endpoint.path}`,
      method,
      path: endpoint.path,
      // What is an edge's has no middleware of ours: the gateway asks.
      isPublic: !isOurs && !endpoint.path.startsWith(mounted),
      role:
        isMounted && !isStream
          ? method === "GET"
            ? "viewer"
            : "operator"
          : Context.get(endpoint.annotations, NeededRole),
      scope: scope === "none" && !isOurs && endpoint.path.startsWith(mounted) ? "gateway" : scope
    }
  })
)

/** What an endpoint wants in its body to be understood. */
export const bodies: { readonly [name: string]: unknown } = {
  "POST /api/pairing/codes": {},
  "PATCH /api/edges/:edgeId": { name: "renamed" },
  "POST /api/tokens": { name: "token", scopes: ["gateway"], expiresInSeconds: 60 }
}

/** What stands for each parameter that names something of a tenant, in a path of Alice's. */
export const owned = ["edgeId", "id", "userCode"]

/** Of things on an edge: the edge is asked only when it is known whose it is. */
export const onEdge = ["deviceId", "cameraId", "mediaId", "modelId", "clusterId", "service"]

export const call = (
  url: string,
  { method, name, path }: Endpoint,
  ids: { readonly [name: string]: string }
) => {
  const filled = path.replaceAll(/:([A-Za-z]+)/g, (_, parameter: string) => {
    const id = ids[parameter] ?? (onEdge.includes(parameter) ? "some-id" : undefined)
    if (id === undefined) throw new Error(`${name}: this test does not know what a ${parameter} is`)
    return id
  })
  const body = path.startsWith(mounted) || method === "GET" || method === "DELETE" ? undefined : bodies[name]
  return (options: Ask) =>
    ask(url + filled, { method, body, ...options, headers: { "x-request-id": "walk", ...options.headers } })
}

/** What a client can tell apart, but for the time of day. */
export const seen = ({ body, headers, status }: Answer) => ({
  status,
  headers: { ...headers, date: "" },
  body
})

export const Code = Schema.Struct({ id: Schema.String, code: Schema.String })
export const Paired = Schema.Struct({ edgeId: Schema.String })
export const Begun = Schema.Struct({ userCode: Schema.String })
export const Named = Schema.Struct({ name: Schema.String })
export const Codes = Schema.Struct({ items: Schema.Array(Schema.Unknown) })
export const Me = Schema.Struct({
  user: Schema.Struct({ id: Schema.String }),
  tenant: Schema.Struct({ id: Schema.String }),
  session: Schema.Struct({ id: Schema.String })
})

/** What must be there for the walk, made through the api alone. */
export const json = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  status: number,
  url: string,
  options: Ask = {}
) =>
  Effect.map(ask(url, options), (answer) => {
    assert.strictEqual(answer.status, status, `${url} ${answer.body}`)
    return Schema.decodeUnknownSync(schema)(answer.json)
  })

export const newCode = ({ url }: Walked, cookie: string, name: string) =>
  json(Code, 201, `${url}/api/pairing/codes`, { method: "POST", cookie, body: { name } })

export const newEdge = Effect.fnUntraced(function* (walked: Walked, cookie: string, name: string) {
  const { code } = yield* newCode(walked, cookie, name)
  const body = { code }
  return yield* json(Paired, 201, `${walked.url}/api/pairing/exchange`, { method: "POST", body })
})

export const me = ({ url }: Walked, cookie: string) => json(Me, 200, `${url}/api/auth/me`, { cookie })

export const nameOf = ({ url }: Walked, cookie: string, edgeId: string) =>
  Effect.map(json(Named, 200, `${url}/api/edges/${edgeId}`, { cookie }), ({ name }) => name)

/** What is sent in place of a cookie. */
export const bearer = (token: string): Ask => ({ headers: { authorization: `Bearer ${token}` } })

export const Token = Schema.Struct({ id: Schema.String, token: Schema.String })

export const newToken = Effect.fnUntraced(function* (
  { signIn, url }: Walked,
  person: "alice" | "bob",
  scopes: ReadonlyArray<Scope>,
  options: { readonly edges?: unknown; readonly expiresInSeconds?: number } = {}
) {
  const cookie = yield* signIn(person)
  const body = { name: "walk", scopes, expiresInSeconds: 60, ...options }
  const made = yield* json(Token, 201, `${url}/api/tokens`, { method: "POST", cookie, body })
  return { ...made, cookie }
})
