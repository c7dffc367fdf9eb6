import { Context } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"

/**
 * Passes what browsers ask of an edge through its tunnel, byte for byte. Each answers false, and has done nothing,
 * where the request is not one to forward.
 */
export class Gateway extends Context.Service<
  Gateway,
  {
    /** Of `request`, and of `checkContinue` with `expectsContinue`: then the edge decides whether the body is sent. */
    readonly handle: (
      request: IncomingMessage,
      response: ServerResponse,
      options?: { readonly expectsContinue: boolean }
    ) => boolean
    /** Of `upgrade`. */
    readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean
  }
>()("@edge-relay/server-api/gateway/Gateway") {}
