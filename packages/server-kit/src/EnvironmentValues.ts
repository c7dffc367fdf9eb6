import { Redacted, Result } from "effect"
import { isIP } from "node:net"

/** How the values of a server's `Config` are read from text, and what is said of those that cannot be. */

/** Takes the text of a variable; undefined where it is unset. Answers the value, or what is wrong with it. */
export type Parse<A> = (text: string | undefined) => Result.Result<A, string>

export const required =
  <A>(parse: (text: string) => Result.Result<A, string>): Parse<A> =>
  (text) =>
    text === undefined ? Result.fail("is required") : parse(text)

export const withDefault =
  <A>(value: string, parse: (text: string) => Result.Result<A, string>): Parse<A> =>
  (text) =>
    parse(text ?? value)

export const optional =
  <A>(parse: (text: string) => Result.Result<A, string>): Parse<A | undefined> =>
  (text) =>
    text === undefined ? Result.succeed(undefined) : parse(text)

export const text = (value: string): Result.Result<string, string> => Result.succeed(value)

export const secret = (value: string): Result.Result<Redacted.Redacted<string>, string> =>
  Result.succeed(Redacted.make(value))

export const wholeNumber =
  (minimum: number, maximum: number) =>
  (value: string): Result.Result<number, string> =>
    /^\d{1,9}$/.test(value) && Number(value) >= minimum && Number(value) <= maximum
      ? Result.succeed(Number(value))
      : Result.fail(`must be a whole number from ${minimum} to ${maximum}`)

/** Whole milliseconds, of seconds with up to three decimals. */
export const seconds =
  (minimum: number, maximum: number) =>
  (value: string): Result.Result<number, string> => {
    const number = /^\d{1,9}(\.\d{1,3})?$/.test(value) ? Number(value) : Number.NaN
    return number >= minimum && number <= maximum
      ? Result.succeed(Math.round(number * 1000))
      : Result.fail(`must be a number of seconds from ${minimum} to ${maximum}`)
  }

export const share = (value: string): Result.Result<number, string> =>
  /^\d(\.\d{1,9})?$/.test(value) && Number(value) <= 1
    ? Result.succeed(Number(value))
    : Result.fail("must be a number from 0 to 1")

/** What keys of Redis begin with: no character that has a meaning there. */
export const keyPrefix = (value: string): Result.Result<string, string> =>
  /^[A-Za-z0-9_.:-]{1,64}$/.test(value)
    ? Result.succeed(value)
    : Result.fail("must be 1 to 64 letters, digits or any of -_.:")

/** 0 is any free port, for tests. */
export const port = wholeNumber(0, 65_535)

export const oneOf =
  <const A extends string>(...values: ReadonlyArray<A>) =>
  (value: string): Result.Result<A, string> => {
    const found = values.find((one) => one.toLowerCase() === value.toLowerCase())
    return found === undefined ? Result.fail(`must be one of ${values.join(", ")}`) : Result.succeed(found)
  }

export const url =
  (protocols: ReadonlyArray<string>) =>
  (value: string): Result.Result<URL, string> => {
    const parsed = URL.parse(value)
    if (parsed === null || !protocols.includes(parsed.protocol)) {
      return Result.fail(`must be a URL that begins with ${protocols.map((one) => `${one}//`).join(" or ")}`)
    }
    return parsed.hash === "" ? Result.succeed(parsed) : Result.fail("must be a URL without a fragment")
  }

const isLoopback = ({ hostname }: URL): boolean =>
  hostname === "localhost" ||
  hostname.endsWith(".localhost") ||
  hostname === "[::1]" ||
  hostname.startsWith("127.")

export const publicUrl = (value: string): Result.Result<URL, string> =>
  Result.flatMap(url(["https:", "http:"])(value), (parsed) => {
    if (parsed.pathname !== "/" || parsed.search !== "" || parsed.username !== "") {
      return Result.fail("must be an origin: no path, query or user name")
    }
    // Without Secure, the session cookie would travel in the clear.
    return parsed.protocol === "https:" || isLoopback(parsed)
      ? Result.succeed(parsed)
      : Result.fail("must be https, except on localhost")
  })

/** OpenID Connect Discovery 1.0 §3: no query; http only for a provider on this machine. */
export const issuer = (value: string): Result.Result<URL, string> =>
  Result.flatMap(url(["https:", "http:"])(value), (parsed) =>
    parsed.search === "" ? Result.succeed(parsed) : Result.fail("must be a URL without a query")
  )

/**
 * A proxy's internal port, as it is dialled: no path, and no TLS, through which the end of a stream that is
 * cancelled would not be seen at once.
 */
export const internalUrl = (value: string): Result.Result<URL, string> =>
  Result.flatMap(url(["http:"])(value), (parsed) =>
    parsed.pathname === "/" && parsed.search === ""
      ? Result.succeed(parsed)
      : Result.fail("must be a URL that begins with http://, without a path")
  )

export const tunnelUrl = (value: string): Result.Result<string, string> =>
  Result.map(url(["wss:", "ws:"])(value), () => value)

export const host = (value: string): Result.Result<string, string> =>
  isIP(value) !== 0 || /^[a-z\d]([a-z\d.-]{0,252})$/i.test(value)
    ? Result.succeed(value)
    : Result.fail("must be an address or a host name")

export const databaseUrl = (value: string): Result.Result<Redacted.Redacted<string>, string> =>
  /^sqlite:.+/.test(value) || /^postgres(ql)?:\/\/.+/.test(value)
    ? Result.succeed(Redacted.make(value))
    : Result.fail("must begin with sqlite: or postgres://")

export const redisUrl = (value: string): Result.Result<Redacted.Redacted<string>, string> =>
  Result.map(url(["redis:", "rediss:"])(value), () => Redacted.make(value))

/** As the cookie's HMAC wants them: 32 bytes at least (RFC 2104 §3). */
export const sessionKeys = (
  value: string
): Result.Result<ReadonlyArray<Redacted.Redacted<Uint8Array>>, string> => {
  const parts = value.split(",").map((part) => part.trim())
  if (!parts.every((part) => /^[A-Za-z\d+/_-]+={0,2}$/.test(part))) {
    return Result.fail("must be keys in base64, separated by commas")
  }
  const keys = parts.map((part) => new Uint8Array(Buffer.from(part, "base64")))
  return keys.every((key) => key.length >= 32)
    ? Result.succeed(keys.map((key) => Redacted.make(key)))
    : Result.fail("must hold keys of 32 bytes at least")
}

export const internalKey = (value: string): Result.Result<Redacted.Redacted<string>, string> =>
  Buffer.byteLength(value) >= 32 ? secret(value) : Result.fail("must be 32 bytes at least")

export const addresses = (value: string): Result.Result<ReadonlyArray<string>, string> => {
  const entries = value.split(",").map((part) => part.trim())
  return entries.every(isAddressOrSubnet)
    ? Result.succeed(entries)
    : Result.fail("must be addresses or subnets, separated by commas")
}

const isAddressOrSubnet = (entry: string): boolean => {
  const [address = "", prefix, ...rest] = entry.split("/")
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32))
}

/** RFC 7517: a private key for signatures, as JSON. Whether it can sign is seen when it is first imported. */
export const privateJwk = (value: string): Result.Result<Redacted.Redacted<string>, string> =>
  isPrivateJwk(value) ? secret(value) : Result.fail("must be a private JWK in JSON, with kty, alg and d")

const isPrivateJwk = (value: string): boolean => {
  try {
    const jwk: unknown = JSON.parse(value)
    if (typeof jwk !== "object" || jwk === null) return false
    return ["kty", "alg", "d"].every(
      (name) => typeof Object.entries(jwk).find(([key]) => key === name)?.[1] === "string"
    )
  } catch {
    return false
  }
}

export const scopes = (value: string): Result.Result<string, string> =>
  value.split(" ").includes("openid") ? Result.succeed(value) : Result.fail("must contain openid")
