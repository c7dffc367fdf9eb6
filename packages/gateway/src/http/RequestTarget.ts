import type { IncomingMessage } from "node:http"

/**
 * What a request says of where it goes: its target and its `Host` (RFC 9112 §3.2). We are one host, by whatever
 * name we are called: nothing is decided by it, or made of it, but what is malformed is refused.
 */

/** `uri-host [":" port]`, without a user (RFC 9110 §4.2.4, §7.2). */
const authority = /^(?:[\w\-.~!$&'()*+,;=%]*|\[[\dA-Fa-f:.]+\])(?::\d{0,5})?$/

export const isHost = (value: string): boolean => authority.test(value)

const absolute = /^https?:\/\/([^/?#]+)(.*)$/i

/**
 * Makes a target in absolute form, `http://host/path`, the path and query that it stands for. A server must take it
 * (RFC 9112 §3.2.2), and take its host for the one in `Host`. One that is malformed stays as it is.
 */
export const toOriginForm = (request: IncomingMessage): void => {
  const url = request.url ?? ""
  if (url.startsWith("/")) return
  const [, host, rest = ""] = absolute.exec(url) ?? []
  if (host !== undefined && isHost(host)) request.url = rest.startsWith("/") ? rest : `/${rest}`
}

/** Why a request is not one to answer; undefined where it is. After {@link toOriginForm}. */
export const faultOf = ({ httpVersion, rawHeaders, url = "" }: IncomingMessage): string | undefined => {
  if (!url.startsWith("/") && url !== "*") return "a target that is not a path"
  let hosts = 0
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() !== "host") continue
    hosts++
    if (!isHost(rawHeaders[index + 1] ?? "")) return malformedHost
  }
  return hosts > 1 ? twoHosts : hosts === 0 && httpVersion === "1.1" ? noHost : undefined
}

export const noHost = "no host"
export const twoHosts = "two hosts"
export const malformedHost = "a host that is none"
