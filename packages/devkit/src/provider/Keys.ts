import { generateKeyPair, randomBytes } from "node:crypto"
import type { JWK } from "oidc-provider"
import { promisify } from "node:util"

/** What the provider signs with: ID tokens, and its own cookies. */
export interface Keys {
  readonly signing: JWK
  readonly cookie: string
}

export const makeKeys = async (): Promise<Keys> => {
  const { privateKey } = await promisify(generateKeyPair)("rsa", { modulusLength: 2048 })
  const signing: JWK = {
    ...privateKey.export({ format: "jwk" }),
    // JOSE's names; `export` gives the numbers of the key alone.
    kty: "RSA",
    alg: "RS256",
    use: "sig",
    kid: randomBytes(8).toString("hex")
  }
  return { signing, cookie: randomBytes(32).toString("base64url") }
}
