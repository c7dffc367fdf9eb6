import { AccessToken } from "@edge-relay/domain/access-tokens/AccessTokens"
import type { SignInSession } from "@edge-relay/domain/sign-in/SignInSession"

/** Who a forwarded request is from: a browser's session, or a script's token. */
export type Caller = SignInSession | AccessToken

export const isToken = (caller: Caller): caller is AccessToken => caller instanceof AccessToken
