import { ownCookiePrefix } from "../http/Place.ts"

/**
 * Our cookies on an edge's host: the session, and for each attempt to sign in there what the ticket has to match. No
 * other host gets them, and over https no other host can set them (`__Host-`, RFC 6265bis §4.1.3.2).
 */
export interface HostCookies {
  readonly sessionName: string
  readonly attemptName: (attempt: string) => string
  /** Counts the sign-ins in a row that did not hold. */
  readonly roundsName: string
  readonly set: (name: string, value: string, maxAgeSeconds?: number) => string
  readonly clear: (name: string) => string
}

export const make = (secure: boolean): HostCookies => {
  const prefix = `${secure ? "__Host-" : ""}${ownCookiePrefix}`
  const attributes = `; Path=/; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`
  return {
    sessionName: `${prefix}session`,
    attemptName: (attempt) => `${prefix}attempt-${attempt}`,
    roundsName: `${prefix}rounds`,
    set: (name, value, maxAge) =>
      `${name}=${value}${attributes}${maxAge === undefined ? "" : `; Max-Age=${maxAge}`}`,
    clear: (name) => `${name}=${attributes}; Max-Age=0`
  }
}

/** Longer `Cookie` headers are not looked into. */
const maxHeaderLength = 65_536

/** The values of all cookies of a name, in their order. */
export const valuesOf = (header: string | undefined, name: string): ReadonlyArray<string> => {
  if (header === undefined || header.length > maxHeaderLength || !header.includes(name)) return []
  return header.split(";").flatMap((pair) => {
    const trimmed = pair.trim()
    return trimmed.startsWith(`${name}=`) ? [trimmed.slice(name.length + 1)] : []
  })
}

/** The names of cookies that begin with `prefix`. */
export const namesOf = (header: string | undefined, prefix: string): ReadonlyArray<string> =>
  (header ?? "").split(";").flatMap((pair) => {
    const name = pair.trim().split("=", 1)[0] ?? ""
    return name.startsWith(prefix) ? [name] : []
  })
