import type { LocalServer } from "@edge-relay/domain/tunnels/LocalServer"
import { readFileSync } from "node:fs"
import { isIP, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import { LocalSocket } from "./LocalSocket.ts"

/** TLS to a local server. Its certificate is checked, unless that is switched off for this one target. */
export interface TargetTls {
  /** PEM of the authorities that count, in place of the built-in ones. Read for each connection: it may be renewed. */
  readonly caFile?: string
  readonly isInsecure?: boolean
}

/** Where a local service listens: a host's port, over TLS or not, or a Unix socket. */
export type ServiceTarget =
  | {
      readonly host: string
      readonly port: number
      readonly tls?: TargetTls
      /** Of a server that speaks HTTP: what the cloud is told of it. */
      readonly local?: LocalServer
    }
  | { readonly path: string }

export interface LocalConnection {
  readonly socket: Socket
  /** Which of the socket's events says that it can be used. */
  readonly ready: "connect" | "secureConnect"
}

/** Begins to connect. Throws where the file of authorities cannot be read. */
export const open = (target: ServiceTarget): LocalConnection => {
  const tls = "tls" in target ? target.tls : undefined
  const ca = tls?.caFile === undefined ? undefined : readFileSync(tls.caFile)
  const socket = new LocalSocket({ allowHalfOpen: true, noDelay: true, keepAlive: true }).connect(target)
  if (tls === undefined || !("host" in target)) return { socket, ready: "connect" }
  const secure = connectTls({
    socket,
    host: target.host,
    // An address is no name to ask for (RFC 6066 §3); the certificate is checked for it all the same.
    ...(isIP(target.host) === 0 ? { servername: target.host } : {}),
    ALPNProtocols: ["http/1.1"],
    rejectUnauthorized: tls.isInsecure !== true,
    ...(ca === undefined ? {} : { ca })
  })
  return { socket: secure, ready: "secureConnect" }
}
