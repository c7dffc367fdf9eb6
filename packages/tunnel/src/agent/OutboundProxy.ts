import { HttpsProxyAgent } from "https-proxy-agent"
import { Effect, Schema } from "effect"

/** The variables that name an HTTP proxy for outbound connections, in either case, as curl reads them. */
export type ProxyEnvironment = Readonly<Record<string, string | undefined>>

/** A variable names what is no HTTP proxy. */
export class ProxyUnusable extends Schema.TaggedError<ProxyUnusable>()("ProxyUnusable", {
  variable: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.variable} ${this.problem}`
  }
}

/** The proxy is not there, or would not connect. `status` is of its answer, where there was one. */
export class ProxyFailed extends Schema.TaggedError<ProxyFailed>()("ProxyFailed", {
  /** Without user and password. */
  proxy: Schema.String,
  status: Schema.NullOr(Schema.Int),
  detail: Schema.String
}) {
  override get message(): string {
    if (this.status === null) return `cannot reach the proxy ${this.proxy}: ${this.detail}`
    const said = `the proxy ${this.proxy} answered ${this.status}`
    return this.status === 407
      ? `${said}: it wants a user and a password, as in HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT`
      : `${said}${this.detail === "" ? "" : ` (${this.detail})`}: it does not connect to there`
  }
}

/**
 * The agent that reaches `url` through the proxy that the environment names for it, by CONNECT; undefined where
 * it is reached directly. The far server's TLS goes through the proxy's tunnel; `tls` is for it, where it is
 * not said for each request. Throws ProxyUnusable; what the proxy does wrong later is a connection's ProxyFailed.
 */
export const outboundProxy = (
  url: URL,
  environment: ProxyEnvironment,
  tls: { readonly ca?: string } = {}
): HttpsProxyAgent<string> | undefined => {
  const proxy = proxyFor(url, environment)
  if (proxy === undefined) return undefined
  const agent = new ProxyAgent(proxy, { keepAlive: false })
  // What its constructor is given is for TLS with the proxy itself.
  Object.assign(agent.options, tls)
  return agent
}

type Connect = Parameters<HttpsProxyAgent<string>["connect"]>

/** The library passes a proxy's refusal on as if it were the far server's answer. */
class ProxyAgent extends HttpsProxyAgent<string> {
  override async connect(request: Connect[0], options: Connect[1]) {
    const { origin } = this.proxy
    let answer: { readonly statusCode: number; readonly statusText: string } | undefined
    request.once("proxyConnect", (given: NonNullable<typeof answer>) => {
      answer = given
    })
    const socket = await super.connect(request, options).catch((error: unknown) => {
      if (answer !== undefined) throw error
      const detail = error instanceof Error ? error.message : String(error)
      throw new ProxyFailed({ proxy: origin, status: null, detail })
    })
    if (answer === undefined || answer.statusCode === 200) return socket
    socket.destroy()
    throw new ProxyFailed({ proxy: origin, status: answer.statusCode, detail: answer.statusText })
  }
}

/**
 * The proxy's URL; undefined where there is none for that. An empty variable is none at all, in either case.
 * Throws ProxyUnusable.
 */
export const proxyFor = (url: URL, environment: ProxyEnvironment): string | undefined => {
  const read = (name: string) =>
    [name.toLowerCase(), name]
      .map((variable) => ({ variable, value: nonEmpty(environment[variable]) }))
      .find(({ value }) => value !== undefined)
  if (isExempt(url, read("NO_PROXY")?.value ?? "")) return undefined
  const isSecure = url.protocol === "wss:" || url.protocol === "https:"
  const named = read(isSecure ? "HTTPS_PROXY" : "HTTP_PROXY") ?? read("ALL_PROXY")
  return named?.value === undefined ? undefined : checked(named.variable, named.value)
}

/** {@link proxyFor}, before anything is dialled. */
export const resolveProxy = (url: URL, environment: ProxyEnvironment) =>
  Effect.try({
    try: () => proxyFor(url, environment),
    catch: (error) => {
      if (error instanceof ProxyUnusable) return error
      throw error
    }
  })

const checked = (variable: string, value: string): string => {
  // `HTTPS_PROXY=proxy:3128`, without a scheme, is common and means http.
  const text = value.includes("://") ? value : `http://${value}`
  const parsed = URL.parse(text)
  // The value may hold a password: it is not told.
  if (parsed === null || parsed.hostname === "") {
    throw new ProxyUnusable({ variable, problem: "is no URL: expected http://HOST:PORT" })
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
    const problem = `names a proxy by ${parsed.protocol}//: expected http:// or https://`
    throw new ProxyUnusable({ variable, problem })
  }
  if ([parsed.username, parsed.password].some((part) => !isPercentEncoded(part))) {
    throw new ProxyUnusable({ variable, problem: "has a % that is not encoded as %25" })
  }
  return text
}

const isPercentEncoded = (text: string): boolean => !/%(?![0-9a-f]{2})/i.test(text)

const nonEmpty = (value: string | undefined) => (value === undefined || value === "" ? undefined : value)

/** `NO_PROXY`: `*`, or hosts and domains, each with all below it, and with a port where one is given. */
const isExempt = (url: URL, list: string): boolean => {
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase()
  const port = url.port || (url.protocol === "wss:" || url.protocol === "https:" ? "443" : "80")
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .some((entry) => {
      if (entry === "*") return true
      const [, name = "", onPort] =
        /^\[?(.*?)\]?(?::(\d+))?$/.exec(isBareIPv6(entry) ? `[${entry}]` : entry) ?? []
      const domain = name.replace(/^\*?\./, "")
      return (onPort === undefined || onPort === port) && (host === domain || host.endsWith(`.${domain}`))
    })
}

const isBareIPv6 = (entry: string) => !entry.startsWith("[") && entry.split(":").length > 2
