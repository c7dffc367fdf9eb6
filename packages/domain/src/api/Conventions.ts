import { HttpApiMiddleware } from "effect/http-api"
import type { CurrentUser } from "../sign-in/CurrentUser.ts"
import {
  InternalError,
  InvalidRequest,
  PayloadTooLarge,
  TooManyRequests,
  UnsupportedMediaType
} from "./Problem.ts"

/**
 * What holds for every endpoint: a request that its schema refuses is a problem that names the field, and a
 * defect is `internal_error` with nothing of its inside.
 */
export class Conventions extends HttpApiMiddleware.Service<Conventions>()(
  "@edge-relay/domain/api/Conventions",
  {
    error: [InvalidRequest, InternalError]
  }
) {}

/** Largest body of an endpoint of the cloud's own, in bytes: 1 MiB. */
export const maxBodyBytes = 1024 * 1024

/**
 * What holds for every body, looked at once it is known who sends it: at most {@link maxBodyBytes}, of the
 * endpoint's content type, valid UTF-8, and JSON that every reader understands alike (no key twice, no
 * prototype's name, no nesting to speak of).
 */
export class BodyRules extends HttpApiMiddleware.Service<BodyRules>()("@edge-relay/domain/api/BodyRules", {
  error: [InvalidRequest, PayloadTooLarge, UnsupportedMediaType]
}) {}

/** What somebody who is signed in may change in a minute, by whatever endpoint. Reading is not counted. */
export class ChangeLimit extends HttpApiMiddleware.Service<ChangeLimit, { requires: CurrentUser }>()(
  "@edge-relay/domain/api/ChangeLimit",
  { error: TooManyRequests }
) {}
