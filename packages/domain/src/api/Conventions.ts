import { HttpApiMiddleware } from "effect/http-api"
import { InternalError, InvalidRequest, PayloadTooLarge, UnsupportedMediaType } from "./Problem.ts"

/**
 * What holds for every endpoint: a request that its schema refuses is a problem that names the field, a problem
 * carries the request's id, and a defect is `internal_error` with nothing of its inside.
 */
export class Conventions extends HttpApiMiddleware.Service<Conventions>()(
  "@edge-relay/domain/api/Conventions",
  {
    error: [InvalidRequest, PayloadTooLarge, UnsupportedMediaType, InternalError]
  }
) {}
