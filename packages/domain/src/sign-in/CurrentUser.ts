import { Context, type DateTime, Schema } from "effect"
import * as TypeId from "../ids/TypeId.ts"

/** Somebody who can sign in: an issuer and a subject of it, both. The same pair has the same id for ever. */
export const UserId = TypeId.schema("user").pipe(Schema.brand("UserId"))
export type UserId = typeof UserId.Type

/** Who owns data: what `OIDC_TENANT_CLAIM` says of a user, or the user alone. */
export const TenantId = TypeId.schema("tenant").pipe(Schema.brand("TenantId"))
export type TenantId = typeof TenantId.Type

/** The public name of a sign-in, for lists and logs. It opens nothing: the cookie holds another secret. */
export const SignInSessionId = TypeId.schema("sess").pipe(Schema.brand("SignInSessionId"))
export type SignInSessionId = typeof SignInSessionId.Type

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
}

/**
 * Who a request is from. Provided by the `Authorization` middleware alone: a handler that needs it does not
 * compile without the middleware, and there is no fallback.
 */
export class CurrentUser extends Context.Service<
  CurrentUser,
  SignedInUser & {
    readonly session: {
      readonly id: SignInSessionId
      readonly createdAt: DateTime.Utc
      /** Nothing extends this one. */
      readonly expiresAt: DateTime.Utc
      /** When it ends if nothing more is asked. */
      readonly idleExpiresAt: DateTime.Utc
    }
  }
>()("./CurrentUser.ts") {}
