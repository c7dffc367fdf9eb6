import { HttpApiMiddleware } from "effect/http-api"
import type { CurrentUser } from "../sign-in/CurrentUser.ts"
import { CrossSite, StorageUnavailable, Unauthorized } from "./Problem.ts"

/**
 * Asks for a signed-in session and provides `CurrentUser`; there is no other way to get one. It refuses unsafe
 * methods that come cross-site. Implemented by `@edge-relay/auth/AuthorizationLayer`.
 */
export class Authorization extends HttpApiMiddleware.Service<Authorization, { provides: CurrentUser }>()(
  "@edge-relay/domain/api/Authorization",
  { error: [Unauthorized, CrossSite, StorageUnavailable] }
) {}
