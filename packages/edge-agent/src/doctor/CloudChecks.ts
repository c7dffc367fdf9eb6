import { outboundProxy, type ProxyEnvironment } from "@edge-relay/tunnel/agent/OutboundProxy"
import { Clock, Effect, Result } from "effect"
import { lookup } from "node:dns/promises"
import { get as getHttp, type IncomingMessage } from "node:http"
import { get as getHttps } from "node:https"
import { TLSSocket } from "node:tls"
import * as NetworkProblem from "../NetworkProblem.ts"
import { failed, type Finding, ok, skipped, warning } from "./Finding.ts"

/** The way to the api: its name, TLS, what answers, and its clock. */

export interface CloudOptions {
  readonly url: URL
  readonly ca: ReadonlyArray<string> | undefined
  readonly environment: ProxyEnvironment
  /** The proxy on the way, undefined where there is none. */
  readonly proxy: string | undefined
}

export const checkName = Effect.fnUntraced(function* (url: URL, proxy: string | undefined) {
  const check = `name ${url.hostname}`
  if (proxy !== undefined) return skipped(check, "looked up by the proxy")
  const host = url.hostname.replace(/^\[|\]$/g, "")
  const found = yield* Effect.result(Effect.tryPromise(() => lookup(host, { all: true })))
  return Result.isSuccess(found)
    ? ok(check, found.success.map(({ address }) => address).join(", "))
    : failed(
        check,
        NetworkProblem.explain(url, found.failure),
        "check the address, and the name servers of this machine (/etc/resolv.conf)"
      )
})

/** Asks the api for its health, which tells four things at once. */
export const checkCloud = Effect.fnUntraced(function* (options: CloudOptions) {
  const { url } = options
  const isSecure = url.protocol === "https:"
  const asked = yield* Effect.result(askHealth(options))
  if (Result.isFailure(asked)) {
    return [
      failed(
        isSecure ? "TLS" : "cloud",
        NetworkProblem.explain(url, asked.failure),
        "curl -v the address from this machine: it must answer"
      )
    ]
  }
  const { certificate, date, isOurs, status } = asked.success
  const now = yield* Clock.currentTimeMillis
  return [
    isSecure
      ? checkCertificate(certificate, now)
      : warning("TLS", "http", "use https outside of this machine"),
    status === 200 && isOurs
      ? ok("cloud", `${url.origin} answers`)
      : failed("cloud", `${url.origin} answered ${status}, and not as Edge Relay does`, "check the address"),
    checkClock(date, now)
  ]
})

const checkCertificate = (certificate: Certificate | undefined, now: number): Finding => {
  if (certificate === undefined) return skipped("TLS", "no certificate seen")
  const found = `${certificate.name}, by ${certificate.issuer}, until ${certificate.validTo}`
  const days = (Date.parse(certificate.validTo) - now) / 86_400_000
  return days < WARN_DAYS
    ? warning("TLS", found, "the cloud's certificate ends soon: tell who runs it")
    : ok("TLS", found)
}

const WARN_DAYS = 7

const checkClock = (date: number, now: number): Finding => {
  if (Number.isNaN(date)) return skipped("clock", "the cloud did not say its time")
  const seconds = Math.round((now - date) / 1_000)
  const found = `${Math.abs(seconds)} s ${seconds < 0 ? "behind" : "ahead of"} the cloud's`
  const advice = "set this machine's clock (timedatectl set-ntp true): certificates are judged by it"
  if (Math.abs(seconds) > FAIL_SECONDS) return failed("clock", found, advice)
  return Math.abs(seconds) > WARN_SECONDS ? warning("clock", found, advice) : ok("clock", found)
}

const WARN_SECONDS = 60
const FAIL_SECONDS = 600

interface Certificate {
  readonly name: string
  readonly issuer: string
  readonly validTo: string
}

interface Health {
  readonly status: number
  /** Of the answer's `Date`. */
  readonly date: number
  readonly certificate: Certificate | undefined
  readonly isOurs: boolean
}

const askHealth = ({ ca, environment, url }: CloudOptions): Effect.Effect<Health, unknown> =>
  Effect.callback((resume) => {
    const tls = ca === undefined ? {} : { ca: ca.join("\n") }
    const onResponse = (response: IncomingMessage) => {
      const certificate = certificateOf(response)
      let body = ""
      response.setEncoding("utf8").on("data", (part: string) => {
        if (body.length < MAX_BODY) body += part
      })
      response.once("error", (error) => resume(Effect.fail(error)))
      response.once("end", () =>
        resume(
          Effect.succeed({
            status: response.statusCode ?? 0,
            date: Date.parse(response.headers.date ?? ""),
            certificate,
            // Every answer of the api's has one.
            isOurs: response.headers["x-request-id"] !== undefined && body.startsWith("{")
          })
        )
      )
    }
    const details = {
      agent: outboundProxy(url, environment, tls) ?? false,
      timeout: TIMEOUT_MILLIS,
      signal: AbortSignal.timeout(TIMEOUT_MILLIS)
    }
    const address = new URL("/healthz", url)
    const request =
      url.protocol === "https:"
        ? getHttps(address, { ...details, ...tls }, onResponse)
        : getHttp(address, details, onResponse)
    request.once("error", (error) =>
      resume(Effect.fail(error.name === "AbortError" ? { code: "ETIMEDOUT" } : error))
    )
    return Effect.sync(() => request.destroy())
  })

const TIMEOUT_MILLIS = 10_000
const MAX_BODY = 64 * 1024

const certificateOf = ({ socket }: IncomingMessage): Certificate | undefined => {
  if (!(socket instanceof TLSSocket)) return undefined
  const { issuer, subject, subjectaltname, valid_to } = socket.getPeerCertificate()
  return {
    name: String(subjectaltname ?? subject?.CN ?? "no name").replaceAll("DNS:", ""),
    issuer: String(issuer?.O ?? issuer?.CN ?? "nobody"),
    validTo: valid_to
  }
}
