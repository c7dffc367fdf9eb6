import { HttpApiMiddleware } from "effect/http-api"
import type { CurrentUser } from "../sign-in/CurrentUser.ts"
import { EdgeNotFound, StorageUnavailable } from "./Problem.ts"

/**
 * Where a path names an edge that the request's token is not for, answers as if there were none. On every endpoint
 * whose path has an `edgeId`.
 */
export class WithinReach extends HttpApiMiddleware.Service<WithinReach, { requires: CurrentUser }>()(
  "@edge-relay/domain/api/WithinReach",
  { error: [EdgeNotFound, StorageUnavailable] }
) {}

/** One answer for an edge that never was, one that was removed, another tenant's, and one out of a token's reach. */
export const noSuchEdge = new EdgeNotFound({ detail: "There is no such edge." })
