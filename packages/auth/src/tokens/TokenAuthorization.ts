import type { AccessToken } from "@edge-relay/domain/access-tokens/AccessTokens"
import type { Scope } from "@edge-relay/domain/access-tokens/Scope"
import { HidesBeyondReach, TokenScope } from "@edge-relay/domain/access-tokens/TokenScope"
import { InsufficientScope, StorageUnavailable, Unauthorized } from "@edge-relay/domain/api/Problem"
import type { CurrentUser } from "@edge-relay/domain/sign-in/CurrentUser"
import { Clock, Context, Effect, Option } from "effect"
import { HttpEffect, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { HttpApiEndpoint } from "effect/http-api"
import { TokenCheck } from "./TokenCheck.ts"

/**
 * Who a request with a token is from, and whether the token is for the endpoint that it asks for. A page of another
 * site cannot send one (there is no CORS), so the rules on cookies do not apply.
 */
export const make = Effect.map(TokenCheck, (check) =>
  Effect.fnUntraced(function* (text: string, endpoint: HttpApiEndpoint.Top) {
    const found = yield* check
      .find(text)
      .pipe(Effect.mapError(() => new StorageUnavailable({ detail: "Tokens cannot be checked right now." })))
    if (Option.isNone(found)) {
      yield* challenge('error="invalid_token"')
      return yield* new Unauthorized({ detail: "The token is wrong, has expired or was revoked." })
    }
    const token = found.value
    const problem = refusal(token, endpoint)
    if (problem !== undefined) {
      yield* challenge('error="insufficient_scope"')
      return yield* problem
    }
    const request = yield* HttpServerRequest.HttpServerRequest
    const address = Option.getOrElse(request.remoteAddress, () => "unknown")
    check.touch(token, address, yield* Clock.currentTimeMillis)
    return toCurrentUser(token)
  })
)

/** Refuses a token without that scope. The gateway asks, too. */
export const lacks = (token: AccessToken, needed: Scope): InsufficientScope | undefined =>
  token.scopes.includes(needed)
    ? undefined
    : new InsufficientScope({ detail: `The token lacks the scope ${needed}.` })

const refusal = (token: AccessToken, { annotations, path }: HttpApiEndpoint.Top) => {
  const needed = Context.get(annotations, TokenScope)
  if (needed === "none") return new InsufficientScope({ detail: "No token may do this: sign in." })
  if (needed === "any") return undefined
  const problem = lacks(token, needed)
  if (problem !== undefined) return problem
  const isOfOneEdge = path.includes("/:edgeId")
  if (token.reach === null || isOfOneEdge || Context.get(annotations, HidesBeyondReach)) {
    return undefined
  }
  return new InsufficientScope({ detail: "This needs a token for all edges, and this one is for some." })
}

/** RFC 6750 §3. */
const challenge = (parameters: string) =>
  HttpEffect.appendPreResponseHandler((_request, response) =>
    Effect.succeed(HttpServerResponse.setHeader(response, "www-authenticate", `Bearer ${parameters}`))
  )

const toCurrentUser = (token: AccessToken): CurrentUser["Service"] => ({
  userId: token.userId,
  tenantId: token.tenantId,
  issuer: token.issuer,
  subject: token.subject,
  name: null,
  email: null,
  picture: null,
  role: token.role,
  session: null,
  token
})
