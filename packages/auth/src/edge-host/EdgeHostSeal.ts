import { SessionIdHash } from "@edge-relay/domain/sign-in/SignInSession"
import { Context, Layer, Redacted } from "effect"
import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from "node:crypto"
import type { VerifiedCookie } from "../session/SessionCookie.ts"

/**
 * What carries a sign-in from our origin to an edge's host: a ticket in the URL, good for one use within seconds, and
 * then a cookie of that host. Both hold the session cookie's secret, sealed with AES-256-GCM under keys derived from
 * `SESSION_KEYS` (HKDF, RFC 5869), with purpose and host authenticated beside it: neither browser nor edge can read
 * one, and one made for a host is worth nothing on another.
 */
export class EdgeHostSeal extends Context.Service<
  EdgeHostSeal,
  {
    readonly sealCookie: (host: string, cookie: Pick<VerifiedCookie, "id">) => string
    /** `outdated`: sealed by an older key, to be sent again. */
    readonly openCookie: (host: string, sealed: string) => VerifiedCookie | undefined
    readonly sealTicket: (host: string, ticket: Ticket) => string
    readonly openTicket: (host: string, sealed: string) => Ticket | undefined
  }
>()("@edge-relay/auth/edge-host/EdgeHostSeal") {
  /** `keys`: the first seals, all open. At least one; {@link SessionCookie} has checked their lengths. */
  static readonly layer = (options: { readonly keys: ReadonlyArray<Redacted.Redacted<Uint8Array>> }) =>
    Layer.sync(EdgeHostSeal, () => make(options.keys.map((key) => derive(Redacted.value(key)))))
}

/** A sign-in on its way to an edge's host. */
export interface Ticket {
  /** The session cookie's secret. */
  readonly id: string
  /** SHA-256, base64url, of the nonce that the host gave this browser. */
  readonly challenge: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** SHA-256 of a text, base64url. */
export const digest = (text: string): string => hash("sha256", text, "base64url")

const ivBytes = 12
const tagBytes = 16
/** 256 bits in base64url, as session cookies have them. */
const idPattern = /^[\w-]{43}$/
/** A cookie or ticket is some 150 bytes; longer ones are not looked into. */
const maxLength = 1024

const derive = (key: Uint8Array): Buffer =>
  Buffer.from(hkdfSync("sha256", key, new Uint8Array(0), "edge-relay edge host v1", 32))

const make = (keys: ReadonlyArray<Buffer>): EdgeHostSeal["Service"] => {
  const seal = (purpose: string, host: string, text: string): string => {
    const [newest] = keys
    if (newest === undefined) throw new Error("there is no session key")
    const iv = randomBytes(ivBytes)
    const cipher = createCipheriv("aes-256-gcm", newest, iv).setAAD(Buffer.from(`${purpose} ${host}`))
    const sealed = Buffer.concat([iv, cipher.update(text, "utf8"), cipher.final()])
    return Buffer.concat([sealed, cipher.getAuthTag()]).toString("base64url")
  }
  const open = (purpose: string, host: string, sealed: string) => {
    const bytes = sealed.length > maxLength ? Buffer.alloc(0) : Buffer.from(sealed, "base64url")
    if (bytes.length <= ivBytes + tagBytes) return undefined
    for (const [index, key] of keys.entries()) {
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, ivBytes), {
        authTagLength: tagBytes
      })
      decipher.setAAD(Buffer.from(`${purpose} ${host}`)).setAuthTag(bytes.subarray(-tagBytes))
      try {
        const text = decipher.update(bytes.subarray(ivBytes, -tagBytes), undefined, "utf8")
        return { text: text + decipher.final("utf8"), outdated: index > 0 }
      } catch {
        // Not this key's: the next one is tried.
      }
    }
    return undefined
  }

  return EdgeHostSeal.of({
    sealCookie: (host, { id }) => seal("cookie", host, id),
    openCookie: (host, sealed) => {
      const opened = open("cookie", host, sealed)
      if (opened === undefined || !idPattern.test(opened.text)) return undefined
      const { text: id, outdated } = opened
      return { id, idHash: SessionIdHash.make(digest(id)), outdated }
    },
    sealTicket: (host, { challenge, expiresAt, id }) =>
      seal("ticket", host, `${id}.${challenge}.${expiresAt}`),
    openTicket: (host, sealed) => {
      const [id = "", challenge = "", expiresAt] = open("ticket", host, sealed)?.text.split(".") ?? []
      return idPattern.test(id) ? { id, challenge, expiresAt: Number(expiresAt) } : undefined
    }
  })
}
