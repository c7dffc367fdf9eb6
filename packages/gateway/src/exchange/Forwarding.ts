import type { Tracer } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import type { Caller } from "../access/Caller.ts"
import type { OwnHost } from "../hosts/HostRoute.ts"
import type { RequestHead } from "../http/RequestHead.ts"
import type { ResponseHead } from "../http/ResponseHead.ts"

/** What is asked of an edge, by whom, and how the answer goes out. */
export interface Forwarding {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly head: RequestHead
  readonly edgeId: string
  readonly target: string
  /** For the record: without its query, which may hold secrets. */
  readonly path: string
  /** Undefined for a preflight, which carries no credentials (Fetch standard §3.3.3). */
  readonly caller: Caller | undefined
  /** The service of the edge; its default one where that is left out. */
  readonly service?: string
  /** The edge's own host; undefined on our origin. */
  readonly own: OwnHost | undefined
  /** A browser will show the answer as a page. */
  readonly isNavigation: boolean
  /** The `Set-Cookie` value for the browser, where its cookie has grown old. The only one that an answer has. */
  readonly renewedCookie: string | undefined
  readonly requestId: string
  /** What the edge is told beside the browser's own headers, each line with its CRLF. */
  readonly added: string
  /** The browser waits for the edge's word before it sends its body. */
  readonly expectsContinue: boolean
  /** Undefined where requests are not traced. */
  readonly span: Tracer.Span | undefined
  /** An upgrade: how to go on when the edge agrees. */
  readonly onSwitch?: (
    exchange: Switched,
    head: ResponseHead,
    stream: Duplex,
    behind: Buffer | undefined
  ) => void
}

/** What an upgraded connection tells its exchange. */
export interface Switched {
  readonly forwarding: Forwarding
  bytesIn: number
  bytesOut: number
  /** Brings `bytesIn` and `bytesOut` up to date. */
  count: () => void
  /** It is over. */
  closed(): void
}
