import { ProxyFailed } from "@edge-relay/tunnel/agent/OutboundProxy"
import { HttpClientError } from "effect/http"

/** Why the cloud could not be asked, in a sentence that says what to do. */
export const explain = (url: URL, error: unknown): string =>
  explainKnown(url, error) ?? `cannot reach ${url.origin}: is the address right, and is there a network?`

/** Undefined where nothing is known of such an error. */
export const explainKnown = (url: URL, error: unknown): string | undefined => {
  for (const one of causes(error)) {
    if (one instanceof ProxyFailed) return one.message
    if (HttpClientError.isHttpClientError(one) && one.response !== undefined) {
      const { headers, status } = one.response
      return strange(url, status, headers["location"])
    }
    const known = explainCode(url, codeOf(one), one)
    if (known !== undefined) return known
  }
  return undefined
}

/** Somebody answers there, and not as the cloud does. */
const strange = (url: URL, status: number, location: string | undefined): string => {
  const moved = status >= 300 && status < 400 && location !== undefined ? URL.parse(location, url) : null
  if (moved !== null && moved.origin !== url.origin) {
    return `${url.origin} sends on to ${moved.origin}: is that the address? Give it as --url`
  }
  return `${url.origin} answered ${status}, and not as Edge Relay does: is the address right?`
}

/** By the code of Node's error, where it has one that tells something. */
const explainCode = (url: URL, code: string | undefined, error: unknown): string | undefined => {
  const { host, hostname } = url
  const isTunnel = url.protocol.startsWith("ws")
  const isPlain = url.protocol === "http:" || url.protocol === "ws:"
  const origin = `${url.protocol}//${host}`
  const plain = `${isTunnel ? "ws" : "http"}://${host}`
  const orTls = isPlain ? `: is it ${isTunnel ? "wss" : "https"}://${host}?` : ""
  switch (code) {
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return `this machine does not trust the certificate of ${origin} (${code}): if it is the right one, give its authority's as --ca FILE`
    case "CERT_HAS_EXPIRED":
      return `the certificate of ${origin} has expired, if this machine's clock is right`
    case "CERT_NOT_YET_VALID":
      return `the certificate of ${origin} is not valid yet, if this machine's clock is right`
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `the certificate of ${origin} is for another name${namesOf(error)}: is the address right?`
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
    case "EPROTO":
      return `${host} does not speak TLS: is it ${plain}?`
    case "HPE_INVALID_CONSTANT":
    case "HPE_INVALID_VERSION":
      return `${host} does not speak HTTP${orTls}`
    case "ENOTFOUND":
      return `there is no host ${hostname}: is the address right?`
    case "EAI_AGAIN":
      return `the name ${hostname} cannot be looked up now: is there a network?`
    case "ECONNREFUSED":
      return `nothing listens at ${host}: is the address right?`
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ETIMEDOUT":
      return `no way to ${host} (${code}): is there a network, or a proxy to name by HTTPS_PROXY?`
    case "ECONNRESET":
    case "EPIPE":
      return `${host} ended the connection without an answer${orTls}`
    default:
      return undefined
  }
}

const namesOf = (error: unknown): string => {
  const certificate = error instanceof Error && "cert" in error ? error.cert : undefined
  const names =
    typeof certificate === "object" && certificate !== null && "subjectaltname" in certificate
      ? String(certificate.subjectaltname)
      : ""
  return names === "" ? "" : ` (${names.replaceAll("DNS:", "")})`
}

const codeOf = (error: object): string | undefined =>
  "code" in error && typeof error.code === "string" ? error.code : undefined

/** An error and what it comes from, the outermost first. */
function* causes(error: unknown, depth = 0): Generator<object> {
  if (typeof error !== "object" || error === null || depth > 8) return
  yield error
  if ("reason" in error) yield* causes(error.reason, depth + 1)
  if ("cause" in error) yield* causes(error.cause, depth + 1)
  // Of several addresses tried, one tells enough.
  if (error instanceof AggregateError) yield* causes(error.errors[0], depth + 1)
}
