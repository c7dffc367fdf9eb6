import { HttpsProxyAgent } from "https-proxy-agent"

/** The variables that name an HTTP proxy for outbound connections, in either case, as curl reads them. */
export type ProxyEnvironment = Readonly<Record<string, string | undefined>>

/**
 * The agent that reaches `url` through the proxy that the environment names for it, by CONNECT; undefined where
 * it is reached directly. The far server's TLS goes through the proxy's tunnel; `tls` is for it, where it is
 * not said for each request.
 */
export const outboundProxy = (
  url: URL,
  environment: ProxyEnvironment,
  tls: { readonly ca?: string } = {}
): HttpsProxyAgent<string> | undefined => {
  const proxy = proxyFor(url, environment)
  if (proxy === undefined) return undefined
  const agent = new HttpsProxyAgent(proxy, { keepAlive: false })
  // What its constructor is given is for TLS with the proxy itself.
  Object.assign(agent.options, tls)
  return agent
}

export const proxyFor = (url: URL, environment: ProxyEnvironment): string | undefined => {
  const read = (name: string) => nonEmpty(environment[name.toLowerCase()]) ?? nonEmpty(environment[name])
  if (isExempt(url, read("NO_PROXY") ?? "")) return undefined
  const isSecure = url.protocol === "wss:" || url.protocol === "https:"
  const proxy = read(isSecure ? "HTTPS_PROXY" : "HTTP_PROXY") ?? read("ALL_PROXY")
  // `HTTPS_PROXY=proxy:3128`, without a scheme, is common and means http.
  return proxy === undefined || proxy.includes("://") ? proxy : `http://${proxy}`
}

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
