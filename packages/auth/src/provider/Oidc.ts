import type { ProviderLogout } from "@edge-relay/domain/sign-in/SignInSession"
import { Clock, Context, Duration, Effect, Layer, Schedule, Schema } from "effect"
import { type JWTPayload, jwtVerify, type JWTVerifyResult } from "jose"
import * as client from "openid-client"
import { checkAccessToken } from "./AccessTokenChecks.ts"
import { clientAuthentication, type ClientAuthOptions } from "./ClientAuth.ts"
import { makeDiscovery } from "./Discovery.ts"
import {
  checkIdToken,
  checkRefreshed,
  defaultClockToleranceSeconds,
  isAboutTime,
  readLogoutToken
} from "./IdTokenChecks.ts"
import { makeHealing } from "./internal/healing.ts"
import { idTokenOf } from "./internal/tokenAnswer.ts"
import { fromClient, ProviderRefused, ProviderUnavailable } from "./OidcError.ts"
import { algorithms, type Asker } from "./ProviderKeys.ts"
import { type ProviderIdentity, readIdentity, tenantClaims } from "./ProviderIdentity.ts"
import type { Role } from "@edge-relay/domain/sign-in/Role"
import { type RoleRules, topClaim } from "./RoleClaim.ts"
import { ProviderTokens } from "./ProviderTokens.ts"
import { logoutHint } from "./LogoutHint.ts"
import { completeClaims } from "./Userinfo.ts"

/** An access token is refreshed this long before it expires. */
const refreshEarlyMillis = 30_000

/** An ID token that is longer is no hint at the end-session endpoint: servers refuse URLs of more than some KB. */
const maxHintLength = 2048

export interface OidcOptions extends ClientAuthOptions {
  readonly issuer: URL
  readonly clientId: string
  readonly scopes: string
  /** The claim that names a user's tenant; without one every user is a tenant alone. */
  readonly tenantClaim?: string | undefined
  /** How claims say what somebody may; without them everybody is an admin. */
  readonly roles?: RoleRules | undefined
  readonly publicUrl: URL
  /** How long each request to the provider may take; 10 by default. A person is waiting. */
  readonly timeoutSeconds?: number | undefined
  /** How far the provider's clock may be from ours, either way; 60 seconds by default. */
  readonly clockToleranceSeconds?: number | undefined
}

/** What has to be kept between sending a browser away and its coming back, each of 256 bits. */
export interface Attempt {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

export interface Grant {
  readonly tokens: ProviderTokens
  /** When the access token wants refreshing; null where it cannot be. */
  readonly refreshAt: number | null
}

/** A sign-in that the provider has done its part of. */
export interface SignedIn extends Grant {
  readonly identity: ProviderIdentity & { readonly role: Role }
  /** When the ID token was made, by the provider's clock, in seconds since 1970. */
  readonly issuedAt: number
}

/** The provider is spoken to in the clear, and browsers come by https. */
export class InsecureIssuer extends Schema.TaggedError<InsecureIssuer>()("InsecureIssuer", {
  issuer: Schema.String
}) {
  override get message(): string {
    return `issuer ${this.issuer} is not https`
  }
}

/**
 * The relying party: all that is said to the identity provider, and all that is believed of its answers.
 * Metadata and keys are fetched when they are first needed, once for all who wait, and heal by themselves.
 */
export class Oidc extends Context.Service<
  Oidc,
  {
    readonly redirectUri: string
    /** Fails while the provider cannot be reached. For readiness, and before a person is sent there. */
    readonly ready: Effect.Effect<void, ProviderUnavailable>
    readonly newAttempt: Effect.Effect<Attempt>
    /** Where to send the browser. */
    readonly authorizationUrl: (attempt: Attempt) => Effect.Effect<URL, ProviderUnavailable>
    /** What came back, for the attempt that its `state` named. */
    readonly callback: (
      parameters: URLSearchParams,
      attempt: Attempt
    ) => Effect.Effect<SignedIn, ProviderRefused | ProviderUnavailable>
    readonly refresh: (
      tokens: ProviderTokens,
      former: { readonly issuer: string; readonly subject: string }
    ) => Effect.Effect<Grant, ProviderRefused | ProviderUnavailable>
    /** Tells the provider that a refresh token will not be used again, where it can be told. */
    readonly revoke: (refreshToken: string) => Effect.Effect<void, ProviderRefused | ProviderUnavailable>
    /** Where a browser signs out of the provider; null where the provider has no such page. */
    readonly endSessionUrl: (idToken: string) => Effect.Effect<string | null, ProviderUnavailable>
    readonly readLogoutToken: (
      token: string
    ) => Effect.Effect<ProviderLogout, ProviderRefused | ProviderUnavailable>
    /** The claims of an access token that the provider gave to a client (RFC 9068). */
    readonly readAccessToken: (
      token: string,
      expected: { readonly audience: string; readonly clientId?: string | undefined }
    ) => Effect.Effect<JWTPayload, ProviderRefused | ProviderUnavailable>
  }
>()("@edge-relay/auth/provider/Oidc") {
  static readonly layer = (options: OidcOptions) =>
    Layer.effect(
      Oidc,
      Effect.suspend(() => make(options))
    )
}

const make = Effect.fnUntraced(function* (options: OidcOptions) {
  const { clientId, publicUrl, roles, scopes, tenantClaim } = options
  const timeoutSeconds = options.timeoutSeconds ?? 10
  const toleranceSeconds = options.clockToleranceSeconds ?? defaultClockToleranceSeconds
  if (options.issuer.protocol === "http:" && publicUrl.protocol === "https:") {
    return yield* new InsecureIssuer({ issuer: options.issuer.href })
  }
  const scope = yield* Effect.scope
  const redirectUri = new URL("/api/auth/callback", publicUrl).href

  const discover = makeDiscovery({
    issuer: options.issuer,
    clientId,
    clientAuthentication: yield* clientAuthentication(options),
    timeoutSeconds,
    scope
  })
  const { current: provider } = yield* makeHealing(discover)
  // Healed without a restart, also while nobody signs in.
  yield* provider.pipe(Effect.retry(Schedule.spaced(Duration.seconds(2))), Effect.ignore, Effect.forkScoped)

  /** A signature by one of the provider's keys, `iss` and `aud`. Not the times: `IdTokenChecks` judges them all. */
  const verified = Effect.fnUntraced(function* (token: string, asker: Asker, audience = clientId) {
    const { metadata, verify } = yield* provider
    const now = yield* Clock.currentTimeMillis
    const checks = {
      algorithms: [...algorithms],
      issuer: metadata.issuer,
      audience,
      currentDate: new Date(now),
      clockTolerance: Number.MAX_SAFE_INTEGER
    }
    const result = yield* verify((find) => jwtVerify<JWTPayload>(token, find, checks), asker)
    if (result instanceof Error) return yield* untrusted("code" in result ? String(result.code) : "signature")
    return { ...result, now } satisfies JWTVerifyResult & { now: number }
  })

  const grantOf = (
    answer: client.TokenEndpointResponse,
    idToken: string,
    formerRefreshToken: string | null,
    now: number
  ): Grant => {
    const refreshToken = answer.refresh_token ?? formerRefreshToken
    const lifetime = answer.expires_in
    return {
      tokens: new ProviderTokens({ accessToken: answer.access_token, refreshToken, idToken }),
      refreshAt:
        refreshToken === null || lifetime === undefined
          ? null
          : now + Math.max(lifetime * 1000 - refreshEarlyMillis, (lifetime * 1000) / 2)
    }
  }

  const identify = Effect.fnUntraced(function* (idToken: JWTPayload, accessToken: string) {
    const { configuration, metadata } = yield* provider
    const roleClaim = roles === undefined ? [] : [topClaim(roles.claim, idToken)]
    const wanted = ["name", "email", ...tenantClaims(tenantClaim), ...roleClaim]
    const { claims, failure } = yield* completeClaims(configuration, idToken, accessToken, wanted)
    const identity = readIdentity(metadata.issuer, claims, tenantClaim, roles)
    if (identity !== undefined && identity.role !== null) return { ...identity, role: identity.role }
    const [reason, code] =
      identity === undefined ? (["no_tenant", tenantClaim] as const) : (["no_role", roles?.claim] as const)
    return yield* failure ?? new ProviderRefused({ reason, code: code ?? "" })
  })

  return Oidc.of({
    redirectUri,
    ready: Effect.asVoid(provider),

    newAttempt: Effect.sync(() => ({
      state: client.randomState(),
      nonce: client.randomNonce(),
      codeVerifier: client.randomPKCECodeVerifier()
    })),

    authorizationUrl: Effect.fn("Oidc.authorizationUrl")(function* ({ codeVerifier, nonce, state }) {
      const { configuration } = yield* provider
      const codeChallenge = yield* Effect.promise(() => client.calculatePKCECodeChallenge(codeVerifier))
      return yield* Effect.try({
        try: () =>
          client.buildAuthorizationUrl(configuration, {
            redirect_uri: redirectUri,
            scope: scopes,
            state,
            nonce,
            code_challenge: codeChallenge,
            code_challenge_method: "S256"
          }),
        // Metadata without the endpoint, or with one in the clear.
        catch: (cause) => new ProviderUnavailable({ operation: "authorization", retryAfterSeconds: 5, cause })
      })
    }),

    callback: Effect.fn("Oidc.callback")(function* (parameters, { codeVerifier, nonce, state }) {
      const { configuration } = yield* provider
      const currentUrl = new URL(redirectUri)
      currentUrl.search = parameters.toString()
      const answer = yield* Effect.tryPromise({
        try: () =>
          client.authorizationCodeGrant(configuration, currentUrl, {
            expectedState: state,
            pkceCodeVerifier: codeVerifier
          }),
        catch: fromClient("token")
      })
      const idToken = idTokenOf(answer)
      if (idToken === undefined) return yield* untrusted("id_token")
      const { now, payload, protectedHeader } = yield* verified(idToken, "provider")
      const expected = { clientId, now, toleranceSeconds }
      const failed =
        payload["nonce"] === nonce
          ? checkIdToken(payload, protectedHeader, answer.access_token, expected)
          : "nonce"
      if (failed !== undefined) return yield* untrusted(failed)
      const identity = yield* identify(payload, answer.access_token)
      // `checkIdToken` wants it.
      return { ...grantOf(answer, idToken, null, now), identity, issuedAt: payload.iat ?? 0 }
    }),

    refresh: Effect.fn("Oidc.refresh")(function* (tokens, former) {
      const { configuration } = yield* provider
      const { idToken, refreshToken } = tokens
      if (refreshToken === null) return yield* untrusted("no_refresh_token")
      const answer = yield* Effect.tryPromise({
        try: () => client.refreshTokenGrant(configuration, refreshToken),
        catch: fromClient("refresh")
      })
      const fresh = idTokenOf(answer)
      const keeping = (idToken: string) =>
        Effect.map(Clock.currentTimeMillis, (now) => grantOf(answer, idToken, refreshToken, now))
      // Some providers send the sign-in's own again, which is old by now and was believed then.
      if (fresh === undefined || fresh === idToken) return yield* keeping(idToken)
      const { now, payload, protectedHeader } = yield* verified(fresh, "provider")
      const expected = { clientId, now, toleranceSeconds }
      const failed = checkRefreshed(payload, protectedHeader, answer.access_token, former, expected)
      if (failed === undefined) return yield* keeping(fresh)
      if (!isAboutTime(failed)) return yield* untrusted(failed)
      // All else is right, and a clock is no reason to sign anybody out.
      yield* Effect.logWarning("a refreshed ID token was not kept").pipe(
        Effect.annotateLogs({ because: failed })
      )
      return yield* keeping(idToken)
    }),

    revoke: Effect.fn("Oidc.revoke")(function* (refreshToken) {
      const { configuration, metadata } = yield* provider
      if (metadata.revocation_endpoint === undefined) return
      yield* Effect.tryPromise({
        try: () => client.tokenRevocation(configuration, refreshToken, { token_type_hint: "refresh_token" }),
        catch: fromClient("revocation")
      })
    }),

    endSessionUrl: Effect.fn("Oidc.endSessionUrl")(function* (idToken) {
      const { configuration, metadata } = yield* provider
      if (metadata.end_session_endpoint === undefined) return null
      return client.buildEndSessionUrl(configuration, {
        // Without the token, `client_id` says whose redirect URI it is, and the hint who signs out.
        ...(idToken.length <= maxHintLength
          ? { id_token_hint: idToken }
          : { client_id: clientId, logout_hint: logoutHint(idToken) }),
        post_logout_redirect_uri: new URL("/", publicUrl).href
      }).href
    }),

    readAccessToken: Effect.fn("Oidc.readAccessToken")(function* (token, { audience, clientId }) {
      const { now, payload, protectedHeader } = yield* verified(token, "anybody", audience)
      const failed = checkAccessToken(payload, protectedHeader, { now, toleranceSeconds, clientId })
      return failed === undefined ? payload : yield* untrusted(failed)
    }),

    readLogoutToken: Effect.fn("Oidc.readLogoutToken")(function* (token) {
      const { now, payload, protectedHeader } = yield* verified(token, "anybody")
      const notice = readLogoutToken(payload, protectedHeader, { now, toleranceSeconds })
      return typeof notice === "string" ? yield* untrusted(notice) : notice
    })
  })
})

const untrusted = (code: string) => new ProviderRefused({ reason: "untrusted", code })
