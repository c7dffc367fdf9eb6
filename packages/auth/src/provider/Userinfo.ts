import { Effect } from "effect"
import type { JWTPayload } from "jose"
import * as client from "openid-client"
import { fromClient, ProviderRefused } from "./OidcError.ts"

type Claims = { readonly [claim: string]: unknown }

/**
 * A person's claims: the ID token's, and for those of `wanted` that it lacks the userinfo endpoint's. A claim that is
 * null is lacking. Userinfo that cannot be had leaves a gap, which is `failure`: only the caller knows what it cannot
 * do without.
 */
export const completeClaims = Effect.fnUntraced(function* (
  configuration: client.Configuration,
  idToken: JWTPayload,
  accessToken: string,
  wanted: ReadonlyArray<string>
) {
  const said = present(idToken)
  const complete = wanted.every((claim) => claim in said)
  if (complete || configuration.serverMetadata().userinfo_endpoint === undefined) {
    return { claims: said, failure: undefined }
  }
  const answer = yield* Effect.result(
    Effect.tryPromise({
      try: () => client.fetchUserInfo(configuration, accessToken, client.skipSubjectCheck),
      catch: fromClient("userinfo")
    })
  )
  if (answer._tag === "Failure") {
    yield* Effect.logWarning("userinfo was not used").pipe(
      Effect.annotateLogs({ because: answer.failure.message })
    )
    return { claims: said, failure: answer.failure }
  }
  // OpenID Connect Core §5.3.2: of somebody else it must not be used; here it is a sign that tokens were mixed up.
  if (answer.success.sub !== idToken.sub) {
    return yield* new ProviderRefused({ reason: "untrusted", code: "userinfo_sub" })
  }
  return { claims: { ...present(answer.success), ...said }, failure: undefined }
})

const present = (claims: Claims): Claims =>
  Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null && value !== undefined))
