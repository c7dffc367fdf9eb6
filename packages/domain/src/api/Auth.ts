import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { EdgeReach } from "../access-tokens/EdgeReach.ts"
import { Scope } from "../access-tokens/Scope.ts"
import { TokenScope } from "../access-tokens/TokenScope.ts"
import { AccessTokenId } from "../ids/AccessTokenId.ts"
import { SignInSessionId } from "../ids/SignInSessionId.ts"
import { TenantId } from "../ids/TenantId.ts"
import { UserId } from "../ids/UserId.ts"
import { NeededRole, Role } from "../sign-in/Role.ts"
import { Authorization } from "./Authorization.ts"
import { BodyRules, ChangeLimit, Conventions } from "./Conventions.ts"
import {
  InvalidLogoutToken,
  InvalidRequest,
  NotFound,
  ProviderUnavailable,
  SignInFailed,
  StorageUnavailable,
  TooManyRequests
} from "./Problem.ts"
import { Timestamp } from "./Timestamp.ts"

/** Who is asking: the person, the tenant that they act in, and the session or the token that they came with. */
export const Me = Schema.Struct({
  user: Schema.Struct({
    id: UserId,
    subject: Schema.String,
    name: Schema.NullOr(Schema.String),
    email: Schema.NullOr(Schema.String),
    picture: Schema.NullOr(Schema.String)
  }),
  tenant: Schema.Struct({ id: TenantId }),
  role: Role,
  session: Schema.NullOr(
    Schema.Struct({
      id: SignInSessionId,
      createdAt: Timestamp,
      expiresAt: Timestamp,
      idleExpiresAt: Timestamp
    })
  ),
  token: Schema.NullOr(
    Schema.Struct({
      id: AccessTokenId,
      name: Schema.String,
      scopes: Schema.Array(Scope),
      edges: Schema.NullOr(EdgeReach),
      expiresAt: Timestamp
    })
  )
}).annotate({ identifier: "Me" })

/** A browser's session, or a terminal's token. */
const SignInId = Schema.Union([SignInSessionId, AccessTokenId])

/** One of my sign-ins. `current` is the one that asks. Of a terminal, `userAgent` is its host's name. */
export const SignIn = Schema.Struct({
  id: SignInId,
  kind: Schema.Literals(["browser", "terminal"]),
  createdAt: Timestamp,
  lastSeenAt: Timestamp,
  expiresAt: Timestamp,
  address: Schema.NullOr(Schema.String),
  userAgent: Schema.NullOr(Schema.String),
  current: Schema.Boolean
}).annotate({ identifier: "SignIn" })

/** What a browser calls by navigating: answers are redirects and pages, with cookies. */
export class SignInApi extends HttpApiGroup.make("signIn")
  .add(
    HttpApiEndpoint.get("login", "/api/auth/login", {
      query: { returnTo: Schema.optionalKey(Schema.String) },
      success: HttpApiSchema.Empty(302),
      error: [TooManyRequests, ProviderUnavailable, StorageUnavailable]
    }),
    HttpApiEndpoint.get("callback", "/api/auth/callback", {
      success: HttpApiSchema.Empty(302),
      error: [SignInFailed, TooManyRequests, ProviderUnavailable, StorageUnavailable]
    }),
    HttpApiEndpoint.post("backchannelLogout", "/api/auth/backchannel-logout", {
      payload: Schema.Struct({ logout_token: Schema.String }).pipe(HttpApiSchema.asFormUrlEncoded()),
      success: HttpApiSchema.Empty(200),
      error: [InvalidLogoutToken, TooManyRequests, ProviderUnavailable, StorageUnavailable]
    })
  )
  .middleware(BodyRules)
  .middleware(Conventions)
  // Identity providers and their portals add parameters of their own, and RFC 6749 §3.1 says to ignore them.
  .annotate(HttpApi.QueryParseOptions, {})
  .annotate(HttpApi.PayloadParseOptions, {})
  .annotateMerge(
    OpenApi.annotations({
      title: "Sign-in",
      description: "OpenID Connect sign-in, kept on the server (BFF)."
    })
  ) {}

/** What a signed-in person's page asks about their sign-in. */
export class AuthApi extends HttpApiGroup.make("auth")
  .add(
    HttpApiEndpoint.get("me", "/api/auth/me", {
      // `false`: the question does not count as use, and does not extend the session.
      query: { slide: Schema.optionalKey(Schema.Literals(["true", "false"])) },
      success: Me
    }).annotate(TokenScope, "any"),
    HttpApiEndpoint.post("logout", "/api/auth/logout", {
      success: Schema.Struct({ logoutUrl: Schema.NullOr(Schema.String) })
    }),
    HttpApiEndpoint.get("sessions", "/api/auth/sessions", {
      success: Schema.Struct({ items: Schema.Array(SignIn), nextCursor: Schema.Null })
    }),
    HttpApiEndpoint.delete("endSession", "/api/auth/sessions/:id", {
      params: { id: SignInId },
      success: HttpApiSchema.NoContent,
      error: [NotFound, InvalidRequest]
    }),
    HttpApiEndpoint.delete("endOtherSessions", "/api/auth/sessions", { success: HttpApiSchema.NoContent })
  )
  .annotateEndpoints(NeededRole, "viewer")
  .middleware(BodyRules)
  .middleware(ChangeLimit)
  .middleware(Authorization)
  .middleware(Conventions)
  .annotateMerge(
    OpenApi.annotations({ title: "Auth", description: "The signed-in person and their sign-ins." })
  ) {}
