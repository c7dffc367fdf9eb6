import { SessionIdHash } from "@edge-relay/domain/sign-in/SignInSession"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { createHmac, createSecretKey, hash, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto"

/**
 * The one cookie: `v1.<id>.<HMAC-SHA256 over name, version and id>`, all base64url, the id of 256 bits. It is
 * checked before any store is asked, synchronously, in constant time; a store knows the id's SHA-256 only.
 *
 * Source: rfc6265bis §4.1.3 (`__Host-`), OWASP ASVS 5 §3.3 and §7.2.
 */

/** Keys shorter than the hash's output weaken the HMAC (RFC 2104 §3). */
const minKeyBytes = 32

/**
 * Longer headers are not looked into. Browsers send what all programs on a host have set, up to 4 KiB each; the API's
 * listener refuses a head of more than that with 431.
 */
const maxHeaderLength = 80 * 1024

/** `v1.`, 43 characters of id, `.`, 43 of signature. */
const valuePattern = /^v1\.([\w-]{43})\.([\w-]{43})$/
const valueLength = 90

/** A cookie that this server signed. `id` is the secret; `idHash` is what stores know it by. */
export interface VerifiedCookie {
  readonly id: string
  readonly idHash: SessionIdHash
  /** Signed by an older key: to be sent again, signed by the newest. */
  readonly outdated: boolean
}

export class InvalidSessionKeys extends Schema.TaggedError<InvalidSessionKeys>()("InvalidSessionKeys", {
  /** Bytes in each key, in order. */
  lengths: Schema.Array(Schema.Int)
}) {
  override get message(): string {
    return this.lengths.length === 0
      ? "there is no session key"
      : `session keys of ${this.lengths.join(", ")} bytes, where each needs ${minKeyBytes} at least`
  }
}

export class SessionCookie extends Context.Service<
  SessionCookie,
  {
    /** `__Host-session`, or `session` over plain http. */
    readonly name: string
    /** What a `Cookie` header holds: undefined unless it has this cookie once, whole, and signed by a key. */
    readonly verify: (cookieHeader: string | undefined) => VerifiedCookie | undefined
    /** A new id, unknown to everybody. */
    readonly issue: () => VerifiedCookie
    /** The `Set-Cookie` value that gives a browser this id. */
    readonly set: (cookie: VerifiedCookie) => string
    /** The `Set-Cookie` value that takes the cookie away. */
    readonly clear: string
  }
>()("@edge-relay/auth/session/SessionCookie") {
  /** `keys`: the first signs, all verify. `secure`: whether browsers come over https. */
  static readonly layer = (options: {
    readonly keys: ReadonlyArray<Redacted.Redacted<Uint8Array>>
    readonly secure: boolean
  }) =>
    Layer.effect(
      SessionCookie,
      Effect.suspend(() => {
        const bytes = options.keys.map(Redacted.value)
        if (bytes.length === 0 || bytes.some((key) => key.length < minKeyBytes)) {
          return new InvalidSessionKeys({ lengths: bytes.map((key) => key.length) })
        }
        return Effect.succeed(make(bytes, options.secure))
      })
    )
}

const make = (bytes: ReadonlyArray<Uint8Array>, secure: boolean): SessionCookie["Service"] => {
  const keys = bytes.map((key) => createSecretKey(key))
  const name = secure ? "__Host-session" : "session"
  const attributes = `; Path=/; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`
  const sign = (key: KeyObject, id: string) =>
    createHmac("sha256", key).update(`${name}.v1.${id}`).digest("base64url")

  return SessionCookie.of({
    name,
    verify: (cookieHeader) => {
      const match = valuePattern.exec(onlyValue(cookieHeader, name))
      const id = match?.[1]
      const signature = match?.[2]
      if (id === undefined || signature === undefined) return undefined
      const given = Buffer.from(signature)
      const index = keys.findIndex((key) => timingSafeEqual(given, Buffer.from(sign(key, id))))
      return index === -1 ? undefined : { id, idHash: hashOf(id), outdated: index > 0 }
    },
    issue: () => {
      const id = randomBytes(32).toString("base64url")
      return { id, idHash: hashOf(id), outdated: false }
    },
    set: ({ id }) => {
      // The constructor's check: there is a first key.
      const [newest] = keys
      return newest === undefined ? "" : `${name}=v1.${id}.${sign(newest, id)}${attributes}`
    },
    clear: `${name}=${attributes}; Max-Age=0`
  })
}

const hashOf = (id: string): SessionIdHash => SessionIdHash.make(hash("sha256", id, "base64url"))

/**
 * The value of the one cookie of that name; "" where there is none, or more than one (someone planted the other,
 * and their order says nothing), or where it cannot be ours. One pass, without building a list.
 */
const onlyValue = (header: string | undefined, name: string): string => {
  if (header === undefined || header.length > maxHeaderLength) return ""
  let found = ""
  for (let start = 0; start < header.length;) {
    const semicolon = header.indexOf(";", start)
    const end = semicolon === -1 ? header.length : semicolon
    let from = start
    while (header.charCodeAt(from) === 0x20 || header.charCodeAt(from) === 0x09) from++
    if (header.startsWith(name, from) && header.charCodeAt(from + name.length) === 0x3d) {
      if (found !== "" || end - from !== name.length + 1 + valueLength) return ""
      found = header.slice(from + name.length + 1, end)
    }
    start = end + 1
  }
  return found
}
