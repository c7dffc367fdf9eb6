import { Effect } from "effect"
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose"
import { createHash, randomBytes } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import { text } from "node:stream/consumers"
import { listening } from "./TestServer.ts"

/** One request that reached the provider. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  readonly form: URLSearchParams
}

type Json = { readonly [name: string]: unknown }
type Key = { readonly kid: string; readonly publicJwk: Json; readonly privateKey: CryptoKey }
type Headers = { readonly [name: string]: string }

/** An answer that is sent as it is; "hang" never answers, "reset" breaks the connection off. */
export type Reply =
  | { readonly status: number; readonly headers: Headers; readonly body: string }
  | "hang"
  | "reset"

const json = (body: unknown, status = 200): Reply => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body)
})

/** Each way in which it can misbehave; every default is what an honest provider does. */
export interface Behaviour {
  metadata: (metadata: Json) => Json
  /** What goes back to the redirect URI. */
  authorize: (answer: URLSearchParams) => URLSearchParams
  claims: (claims: JWTPayload) => JWTPayload
  /** The whole ID token, of claims. Undefined: none at all. */
  sign: (claims: JWTPayload) => Promise<string | undefined>
  token: (answer: Json, form: URLSearchParams) => Reply | Promise<Reply>
  userinfo: (claims: Json) => Reply
  keys: (keys: ReadonlyArray<Json>) => Reply
  discovery: (metadata: Json) => Reply
  /** Whether it checks codes as it should: once, by PKCE. */
  checksCodes: boolean
  subject: string
  sid: string
  /** Seconds that access tokens live. */
  expiresIn: number | undefined
  refreshToken: boolean
}

export const newKeyPair = async (alg = "RS256"): Promise<Key> => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const kid = randomBytes(8).toString("hex")
  return { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" } }
}

/** RSA keys take long to make: one for all that need not differ. */
const commonKey = newKeyPair()

export const seconds = () => Math.floor(Date.now() / 1000)

export type HostileProvider = Effect.Success<ReturnType<typeof hostileProvider>>

/** A small provider that does as it is told: honest, until a test says otherwise. */
export const hostileProvider = Effect.fnUntraced(function* (
  options: { readonly clientId?: string; readonly now?: () => number } = {}
) {
  const { origin, server } = yield* listening
  const issuer = origin.origin
  const clientId = options.clientId ?? "edge-relay"
  const now = options.now ?? seconds
  const keys: Array<Key> = [yield* Effect.promise(() => commonKey)]
  const seen: Array<Seen> = []
  const codes = new Map<string, { readonly nonce: string; readonly challenge: string; used: boolean }>()
  const refreshTokens = new Map<string, { used: boolean }>()

  const signWith = (key: Key, claims: JWTPayload, header: Json = {}) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: String(key.publicJwk["alg"]), kid: key.kid, ...header })
      .sign(key.privateKey)
  const newestKey = () => {
    const key = keys.at(-1)
    if (key === undefined) throw new Error("the provider has no key")
    return key
  }

  const behave: Behaviour = {
    metadata: (metadata) => metadata,
    authorize: (answer) => answer,
    claims: (claims) => claims,
    sign: (claims) => signWith(newestKey(), claims),
    token: (answer) => json(answer),
    userinfo: (claims) => json(claims),
    keys: (keys) => json({ keys }),
    discovery: (metadata) => json(metadata),
    checksCodes: true,
    subject: "alice",
    sid: "session-1",
    expiresIn: 3600,
    refreshToken: true
  }

  const idTokenClaims = (nonce: string | undefined, accessToken: string): JWTPayload => ({
    iss: issuer,
    sub: behave.subject,
    aud: clientId,
    iat: now(),
    exp: now() + 300,
    sid: behave.sid,
    at_hash: createHash("sha256").update(accessToken).digest().subarray(0, 16).toString("base64url"),
    ...(nonce === undefined ? {} : { nonce })
  })

  const tokens = async (nonce: string | undefined): Promise<Json> => {
    const accessToken = randomBytes(16).toString("base64url")
    const idToken = await behave.sign(behave.claims(idTokenClaims(nonce, accessToken)))
    const refreshToken = randomBytes(16).toString("base64url")
    if (behave.refreshToken) refreshTokens.set(refreshToken, { used: false })
    return {
      access_token: accessToken,
      token_type: "Bearer",
      ...(behave.expiresIn === undefined ? {} : { expires_in: behave.expiresIn }),
      ...(idToken === undefined ? {} : { id_token: idToken }),
      ...(behave.refreshToken ? { refresh_token: refreshToken } : {})
    }
  }

  const token = async (form: URLSearchParams): Promise<Reply> => {
    if (form.get("grant_type") === "refresh_token") {
      const known = refreshTokens.get(form.get("refresh_token") ?? "")
      if (known === undefined || known.used) return json({ error: "invalid_grant" }, 400)
      known.used = true
      return behave.token(await tokens(undefined), form)
    }
    const code = codes.get(form.get("code") ?? "")
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url")
    if (behave.checksCodes && (code === undefined || code.used || code.challenge !== challenge)) {
      return json({ error: "invalid_grant" }, 400)
    }
    if (code !== undefined) code.used = true
    return behave.token(await tokens(code?.nonce), form)
  }

  const answer = async (url: URL, form: URLSearchParams): Promise<Reply> => {
    // Issuers with a path have their metadata under it; all else is where the metadata say.
    switch (url.pathname.replace(/^.*(?=\/\.well-known\/)/, "")) {
      case "/.well-known/openid-configuration":
        return behave.discovery(
          behave.metadata({
            issuer,
            authorization_endpoint: `${issuer}/authorize`,
            token_endpoint: `${issuer}/token`,
            userinfo_endpoint: `${issuer}/userinfo`,
            jwks_uri: `${issuer}/jwks`,
            end_session_endpoint: `${issuer}/end-session`,
            revocation_endpoint: `${issuer}/revoke`,
            authorization_response_iss_parameter_supported: true,
            id_token_signing_alg_values_supported: ["RS256", "ES256", "PS256"],
            code_challenge_methods_supported: ["S256"]
          })
        )
      case "/authorize": {
        const code = randomBytes(16).toString("base64url")
        const { searchParams } = url
        codes.set(code, {
          nonce: searchParams.get("nonce") ?? "",
          challenge: searchParams.get("code_challenge") ?? "",
          used: false
        })
        const back = new URL(searchParams.get("redirect_uri") ?? "")
        back.search = behave
          .authorize(new URLSearchParams({ code, state: searchParams.get("state") ?? "", iss: issuer }))
          .toString()
        return { status: 302, headers: { location: back.href }, body: "" }
      }
      case "/token":
        return token(form)
      case "/userinfo":
        return behave.userinfo({
          sub: behave.subject,
          name: `Name of ${behave.subject}`,
          email: "a@b.example"
        })
      case "/jwks":
        return behave.keys(keys.map(({ publicJwk }) => publicJwk))
      case "/revoke":
        return { status: 200, headers: {}, body: "" }
      default:
        return { status: 404, headers: {}, body: "" }
    }
  }

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "/", issuer)
    const form = new URLSearchParams(await text(request))
    seen.push({ method: request.method ?? "", path: url.pathname, headers: request.headers, form })
    const reply = await answer(url, form)
    if (reply === "reset") request.socket.destroy()
    else if (reply !== "hang") response.writeHead(reply.status, reply.headers).end(reply.body)
  }
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    handle(request, response).catch(() => response.destroy())
  })

  return {
    issuer,
    /** Changed by a test, at any time. */
    behave,
    keys,
    seen,
    to: (path: string) => seen.filter((one) => one.path === path),
    signWith,
    /** A key that is published from now on, and signs. */
    rotate: Effect.promise(async () => {
      const key = await newKeyPair()
      keys.splice(0, keys.length, key)
      return key
    }),
    logoutToken: (claims: (honest: JWTPayload) => JWTPayload, header: Json = {}, key?: Key) =>
      Effect.promise(() =>
        signWith(
          key ?? newestKey(),
          claims({
            iss: issuer,
            aud: clientId,
            iat: now(),
            exp: now() + 120,
            jti: randomBytes(8).toString("hex"),
            sub: behave.subject,
            sid: behave.sid,
            events: { "http://schemas.openid.net/event/backchannel-logout": {} }
          }),
          { typ: "logout+jwt", ...header }
        )
      )
  }
})

export { json }
