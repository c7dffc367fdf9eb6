import { HttpApiMiddleware } from "effect/http-api"
import type { CurrentUser } from "../sign-in/CurrentUser.ts"
import { CrossSite, Forbidden, InsufficientScope, StorageUnavailable, Unauthorized } from "./Problem.ts"

/**
 * Asks for a signed-in session, or for a token that has what the endpoint's `TokenScope` names, and provides
 * `CurrentUser`; there is no other way to get one. In a session it refuses unsafe methods that come cross-site.
 * Implemented by `@edge-relay/auth/AuthorizationLayer`.
 */
export class Authorization extends HttpApiMiddleware.Service<Authorization, { provides: CurrentUser }>()(
  "@edge-relay/domain/api/Authorization",
  { error: [Unauthorized, CrossSite, InsufficientScope, Forbidden, StorageUnavailable] }
) {}
