import type { AccessToken } from "../access-tokens/AccessTokens.ts"
import { SignInSessionId } from "../ids/SignInSessionId.ts"
import { TenantId } from "../ids/TenantId.ts"
import { UserId } from "../ids/UserId.ts"
import type { Role } from "./Role.ts"
import { Context, type DateTime } from "effect"

/** What the provider says of somebody, and who that is here. */
export interface SignedInUser {
  readonly userId: UserId
  readonly tenantId: TenantId
  /** The identity provider, and the user's id there: only both together name somebody. */
  readonly issuer: string
  readonly subject: string
  readonly name: string | null
  readonly email: string | null
  readonly picture: string | null
  readonly role: Role
}

/**
 * Who a request is from. Provided by the `Authorization` middleware alone: a handler that needs it does not
 * compile without the middleware, and there is no fallback.
 */
export class CurrentUser extends Context.Service<
  CurrentUser,
  SignedInUser & {
    /** The browser's session; null where a script asks with a token. */
    readonly session: {
      readonly id: SignInSessionId
      readonly createdAt: DateTime.Utc
      /** Nothing extends this one. */
      readonly expiresAt: DateTime.Utc
      /** When it ends if nothing more is asked. */
      readonly idleExpiresAt: DateTime.Utc
    } | null
    /** What a script asks with; null for a browser. */
    readonly token: AccessToken | null
  }
>()("@edge-relay/domain/sign-in/CurrentUser") {}
