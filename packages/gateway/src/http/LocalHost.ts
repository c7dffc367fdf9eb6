import type { LocalServer } from "@edge-relay/domain/tunnels/LocalServer"

/**
 * What an edge's local server is told of its address. A server that takes requests for its own address alone asks for
 * `hostHeader: "local"`: then `Host`, `Origin` and `Referer` name that address in place of the public one, and what the
 * answer says of it is turned back (`EdgesOwn`).
 */
export const isLocal = (server: LocalServer | undefined): server is LocalServer =>
  server?.hostHeader === "local"

export const hostOf = ({ origin }: LocalServer): string => origin.slice(origin.indexOf("//") + 2)

const naming = /^(origin|referer):[\t ]*(\S+)$/i

/** Header lines, each with its CRLF, in which our own page's address is the local one. Another site's stays. */
export const lines = (text: string, publicOrigin: string, { origin }: LocalServer): string =>
  text
    .split("\r\n")
    .map((line) => {
      const [, name, value = ""] = naming.exec(line) ?? []
      const isOurs = value === publicOrigin || value.startsWith(`${publicOrigin}/`)
      return name !== undefined && isOurs ? `${name}: ${origin}${value.slice(publicOrigin.length)}` : line
    })
    .join("\r\n")
