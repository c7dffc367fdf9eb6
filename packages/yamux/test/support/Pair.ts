import { Session } from "../../src/Session.ts"
import type { SessionOptions } from "../../src/SessionOptions.ts"
import { link } from "./Link.ts"
import type { LinkedTransport, LinkOptions } from "./Link.ts"

export interface Pair {
  readonly client: Session
  readonly server: Session
  readonly transports: readonly [LinkedTransport, LinkedTransport]
}

/** Two sessions over a link; the server's streams come back as they went, unless a test sets `onStream`. */
export const pair = (options: Partial<SessionOptions> = {}, linkOptions: LinkOptions = {}): Pair => {
  const transports = link(linkOptions)
  const client = new Session("client", transports[0], options)
  const server = new Session("server", transports[1], options)
  server.onStream = (stream) => stream.pipe(stream)
  return { client, server, transports }
}
