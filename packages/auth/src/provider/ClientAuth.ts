import { Effect, Redacted, Schema } from "effect"
import { importJWK, type JWK } from "jose"
import * as client from "openid-client"

/**
 * How this client proves itself to the token endpoint (OpenID Connect Core §9): its secret in the body (`post`), or in
 * the `Authorization` header (`basic`), or a JWT that its private key signs (`private_key_jwt`).
 */
export type ClientAuth = "post" | "basic" | "private_key_jwt"

export interface ClientAuthOptions {
  readonly clientAuth?: ClientAuth | undefined
  /** Without one the client is public: PKCE alone. An empty one is none. */
  readonly clientSecret?: Redacted.Redacted<string> | undefined
  /** For `private_key_jwt`: a private JWK (RFC 7517) as JSON, with `alg`, and `kid` where the provider wants it. */
  readonly clientKey?: Redacted.Redacted<string> | undefined
}

/** The client's key cannot sign. */
export class InvalidClientKey extends Schema.TaggedError<InvalidClientKey>()("InvalidClientKey", {}) {
  override get message(): string {
    return "the client's key is no private JWK with an alg"
  }
}

export const clientAuthentication = Effect.fnUntraced(function* (options: ClientAuthOptions) {
  const { clientAuth = "post", clientKey } = options
  if (clientAuth === "private_key_jwt") {
    return yield* Effect.tryPromise({
      try: () => signedBy(clientKey === undefined ? "" : Redacted.value(clientKey)),
      // What is wrong with it could show parts of it.
      catch: () => new InvalidClientKey()
    })
  }
  const secret = options.clientSecret === undefined ? "" : Redacted.value(options.clientSecret)
  if (secret === "") return client.None()
  return clientAuth === "basic" ? secretInHeader(secret) : client.ClientSecretPost(secret)
})

/**
 * RFC 6749 §2.3.1, with the form encoding that browsers have. The library's encodes "-" and "." as well, which is as
 * right, but providers that forget to decode take it for another client's id.
 */
const secretInHeader =
  (secret: string): client.ClientAuth =>
  (_server, { client_id }, _body, headers) => {
    const pair = [client_id, secret].map((text) => new URLSearchParams([["", text]]).toString().slice(1))
    headers.set("authorization", `Basic ${Buffer.from(pair.join(":")).toString("base64")}`)
  }

const signedBy = async (text: string): Promise<client.ClientAuth> => {
  // `importJWK` checks it.
  const jwk = JSON.parse(text) as JWK
  const key = await importJWK(jwk)
  if (key instanceof Uint8Array || key.type !== "private") throw new TypeError("not a private key")
  return client.PrivateKeyJwt(jwk.kid === undefined ? key : { key, kid: jwk.kid })
}
