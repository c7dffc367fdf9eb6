import { AccessToken } from "@edge-relay/domain/access-tokens/AccessTokens"
import { Scope } from "@edge-relay/domain/access-tokens/Scope"
import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import * as Unavailable from "@edge-relay/domain/StorageUnavailable"
import { Clock, Context, DateTime, Effect, Layer, Option, Schema } from "effect"
import { decodeJwt, type JWTPayload } from "jose"
import { hash } from "node:crypto"
import { Oidc } from "../provider/Oidc.ts"
import { text } from "../provider/ProviderIdentity.ts"
import { readRole, type RoleRules } from "../provider/RoleClaim.ts"
import { accessTokenId, tenantId, userId } from "../sign-in/Identity.ts"

/**
 * Access tokens of the identity provider's `client_credentials` grant (RFC 9068): a service's, whose tenant and scopes are
 * what its claims say. They are believed by their signature, are in no store, and end when they expire alone.
 */
export class ServiceTokens extends Context.Service<
  ServiceTokens,
  {
    /** Whether a text says that it is one, of our provider and for our audience. It may be forged. */
    readonly isOurs: (text: string) => boolean
    readonly find: (text: string) => Effect.Effect<Option.Option<ServiceToken>, StorageUnavailable>
    /** What was verified not long ago. */
    readonly peek: (text: string, now: number) => ServiceToken | undefined
  }
>()("@edge-relay/auth/tokens/ServiceTokens") {
  static readonly layer = (options: ServiceTokenOptions) =>
    Layer.effect(
      ServiceTokens,
      Effect.suspend(() => make(options))
    )
}

export interface ServiceTokenOptions {
  readonly issuer: URL
  /** What `aud` has to name: `OIDC_SERVICE_AUDIENCE`. */
  readonly audience: string
  /** The one client whose tokens count; every client's where it is left out. */
  readonly clientId?: string | undefined
  /** The claim that names the tenant; without one a service is a tenant alone. */
  readonly tenantClaim: string | undefined
  /** How claims say what it may; without them every service is an admin. */
  readonly roles?: RoleRules | undefined
}

/** It is in no store: nothing is asked of one about it. */
export class ServiceToken extends AccessToken.extend<ServiceToken>("@edge-relay/auth/ServiceToken")({}) {}

/** A key that the provider takes back is trusted for a minute longer than it is known. */
const keptMillis = 60_000
const maxKept = 1000

const isScope = Schema.is(Scope)

const make = Effect.fnUntraced(function* (options: ServiceTokenOptions) {
  const oidc = yield* Oidc
  const kept = new Map<string, { readonly token: ServiceToken; readonly until: number }>()

  const toToken = (payload: JWTPayload, text: string): ServiceToken | undefined => {
    const { exp = 0, iat = 0, iss = "", sub = "" } = payload
    const tenant = options.tenantClaim === undefined ? null : claimText(payload[options.tenantClaim])
    // Nobody is put into a tenant by default.
    if (options.tenantClaim !== undefined && tenant === null) return undefined
    const role = readRole(payload, options.roles)
    if (role === null) return undefined
    const scopes = String(payload["scope"] ?? "")
      .split(" ")
      .filter(isScope)
    const end = DateTime.makeUnsafe(exp * 1000)
    return new ServiceToken({
      id: accessTokenId(text),
      tenantId: tenantId(iss, sub, tenant),
      userId: userId(iss, sub),
      issuer: iss,
      subject: sub,
      role,
      name: sub,
      scopes,
      reach: null,
      createdAt: DateTime.makeUnsafe(iat * 1000),
      expiresAt: end,
      endsAt: end,
      terminal: null,
      lastUsedAt: null,
      lastUsedFrom: null
    })
  }

  const peek = (text: string, now: number) => {
    const found = kept.get(keyOf(text))
    return found !== undefined && found.until > now ? found.token : undefined
  }

  return ServiceTokens.of({
    isOurs: (text) => {
      const claims = unverified(text)
      const { aud = [], iss = "" } = claims ?? {}
      return sameIssuer(iss, options.issuer) && [aud].flat().includes(options.audience)
    },
    peek,
    find: Effect.fnUntraced(function* (text) {
      const now = yield* Clock.currentTimeMillis
      const known = peek(text, now)
      if (known !== undefined) return Option.some(known)
      const { audience, clientId } = options
      const payload = yield* oidc.readAccessToken(text, { audience, clientId }).pipe(
        Effect.asSome,
        Effect.catchTags({
          ProviderRefused: ({ code }) =>
            Effect.as(Effect.logDebug("a service's token is refused", code), Option.none()),
          // Its keys cannot be had: as where a store is away.
          ProviderUnavailable: (cause) =>
            Effect.fail(new Unavailable.StorageUnavailable({ operation: "ServiceTokens.find", cause }))
        })
      )
      const token = Option.isSome(payload) ? toToken(payload.value, text) : undefined
      if (token === undefined) return Option.none()
      const until = Math.min(now + keptMillis, token.expiresAt.epochMilliseconds)
      kept.set(keyOf(text), { token, until })
      const [oldest] = kept.keys()
      if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest)
      return Option.some(token)
    })
  })
})

const claimText = text

const keyOf = (token: string): string => hash("sha256", token, "base64url")

const unverified = (token: string): JWTPayload | undefined => {
  if (!token.startsWith("eyJ") || token.length > 16_384) return undefined
  try {
    return decodeJwt(token)
  } catch {
    return undefined
  }
}

/** A slash at the end is what providers disagree about with themselves. */
const sameIssuer = (iss: string, issuer: URL): boolean =>
  iss.replace(/\/$/, "") === issuer.href.replace(/\/$/, "")
