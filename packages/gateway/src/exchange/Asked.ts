import type { Tracer } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { GatewayRoute } from "../access/GatewayRoute.ts"
import type { OwnHost } from "../hosts/HostRoute.ts"
import type { RequestHead } from "../http/RequestHead.ts"
import type { UpgradedConnection } from "./UpgradedConnection.ts"

/** A request on its way through the checks. */
export interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly route: GatewayRoute
  /** The edge's own host; undefined on our origin. */
  readonly own: OwnHost | undefined
  readonly service: string | undefined
  readonly head: RequestHead
  readonly method: string
  readonly path: string
  readonly requestId: string
  readonly expectsContinue: boolean
  readonly upgraded: UpgradedConnection | undefined
  readonly span: Tracer.Span | undefined
}

const maxPathLength = 512

/** For the record: without the query, which may hold secrets. A long one is copied, not kept alive by its part. */
export const pathOf = (target: string): string => {
  const query = target.indexOf("?")
  const path = query === -1 ? target : target.slice(0, query)
  return path.length > maxPathLength
    ? Buffer.from(path.slice(0, maxPathLength), "latin1").toString("latin1")
    : path
}
