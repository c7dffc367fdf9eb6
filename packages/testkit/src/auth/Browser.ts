import { Effect } from "effect"
import { request as send } from "node:http"

/** What came back for one request. */
export interface Answer {
  readonly status: number
  readonly url: URL
  readonly headers: { readonly [name: string]: string | ReadonlyArray<string> | undefined }
  readonly body: string
  readonly setCookies: ReadonlyArray<string>
  readonly location: URL | undefined
}

export interface SendOptions {
  readonly method?: string
  readonly headers?: { readonly [name: string]: string }
  readonly body?: string
}

interface StoredCookie {
  readonly host: string
  readonly path: string
  readonly name: string
  readonly value: string
}

/**
 * As much of a browser as signing in needs: cookies are kept by host (not by port), path and name, `Secure` ones
 * are not taken over http from anywhere but localhost, redirects are followed, forms are sent.
 */
export class Browser {
  readonly cookies: Array<StoredCookie> = []

  cookie(name: string): string | undefined {
    return this.cookies.find((cookie) => cookie.name === name)?.value
  }

  /** Plants a cookie, as an attacker could. */
  plant(host: string, name: string, value: string): void {
    this.#store(host, { name, value, path: "/" })
  }

  /** One request, with this browser's cookies; redirects are not followed. */
  fetch(url: string | URL, options: SendOptions = {}): Effect.Effect<Answer> {
    return Effect.map(
      // The cookies of the moment when it is sent.
      Effect.suspend(() =>
        request(new URL(url), {
          ...options,
          headers: {
            accept: "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
            "user-agent": "test browser",
            ...this.#cookieHeader(new URL(url)),
            ...options.headers
          }
        })
      ),
      (answer) => {
        for (const line of answer.setCookies) this.#take(answer.url, line)
        return answer
      }
    )
  }

  /** Types an address, or follows a link: redirects are followed, up to `until` where that is given. */
  visit(
    url: string | URL,
    options: SendOptions & { readonly until?: (url: URL) => boolean } = {}
  ): Effect.Effect<Answer> {
    return Effect.gen({ self: this }, function* () {
      let answer = yield* this.fetch(url, options)
      for (let hops = 0; hops < 20; hops++) {
        const next = answer.location
        if (answer.status < 300 || answer.status > 399 || next === undefined) return answer
        if (options.until?.(next) === true) return answer
        answer = yield* this.fetch(next)
      }
      return yield* Effect.die(new Error("too many redirects"))
    })
  }

  /** Sends the page's form whose action ends with `action`, and follows redirects. */
  submit(
    page: Answer,
    action: string,
    fields: { readonly [name: string]: string },
    options: { readonly until?: (url: URL) => boolean } = {}
  ): Effect.Effect<Answer> {
    const form = forms(page.body).find((one) => one.action.endsWith(action))
    if (form === undefined) return Effect.die(new Error(`no form ${action} in:\n${page.body}`))
    return this.visit(new URL(form.action, page.url), {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ ...form.hidden, ...fields }).toString(),
      ...options
    })
  }

  #cookieHeader(url: URL): { readonly [name: string]: string } {
    const matching = this.cookies.filter(
      ({ host, path }) =>
        host === url.hostname && (url.pathname === path || url.pathname.startsWith(path.replace(/\/?$/, "/")))
    )
    return matching.length === 0
      ? {}
      : { cookie: matching.map(({ name, value }) => `${name}=${value}`).join("; ") }
  }

  #take(url: URL, line: string): void {
    const [pair = "", ...attributes] = line.split(";").map((part) => part.trim())
    const equals = pair.indexOf("=")
    const [name, value] = [pair.slice(0, equals), pair.slice(equals + 1)]
    const attribute = (wanted: string) => {
      const found = attributes.find((one) => one.toLowerCase().split("=")[0] === wanted)
      return found === undefined ? undefined : (found.split("=")[1] ?? "")
    }
    const secure = attribute("secure") !== undefined
    if (secure && url.protocol !== "https:" && url.hostname !== "localhost") return
    if (
      name.startsWith("__Host-") &&
      (!secure || attribute("path") !== "/" || attribute("domain") !== undefined)
    )
      return
    const expired =
      Number(attribute("max-age") ?? 1) <= 0 || new Date(attribute("expires") ?? "2999-01-01") < new Date()
    this.#store(url.hostname, {
      name,
      value: expired ? undefined : value,
      path: attribute("path") ?? url.pathname.replace(/\/[^/]*$/, "")
    })
  }

  #store(
    host: string,
    { name, path, value }: { name: string; path: string; value: string | undefined }
  ): void {
    const index = this.cookies.findIndex(
      (cookie) => cookie.host === host && cookie.name === name && cookie.path === path
    )
    if (index !== -1) this.cookies.splice(index, 1)
    if (value !== undefined) this.cookies.push({ host, name, path, value })
  }
}

/** A page's forms: where they go, and what they hold unseen. */
const forms = (html: string) =>
  Array.from(
    html.matchAll(/<form\b[^>]*\baction="([^"]*)"[^>]*>([\s\S]*?)<\/form>/g),
    ([, action, inside]) => ({
      action: (action ?? "").replaceAll("&amp;", "&"),
      hidden: Object.fromEntries(
        Array.from(
          (inside ?? "").matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g),
          ([, name, value]) => [name ?? "", value ?? ""]
        )
      )
    })
  )

/** One request, as it is. */
export const request = (url: URL, { body, headers, method }: SendOptions): Effect.Effect<Answer> =>
  Effect.callback((resume, signal) => {
    const outgoing = send(url, { method: method ?? "GET", headers: { ...headers }, signal }, (incoming) => {
      const chunks: Array<Buffer> = []
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
      incoming.on("error", (error) => resume(Effect.die(error)))
      incoming.on("end", () => {
        const { location } = incoming.headers
        resume(
          Effect.succeed({
            status: incoming.statusCode ?? 0,
            url,
            headers: incoming.headers,
            body: Buffer.concat(chunks).toString("utf8"),
            setCookies: incoming.headers["set-cookie"] ?? [],
            location: location === undefined ? undefined : new URL(location, url)
          })
        )
      })
    })
    outgoing.on("error", (error) => resume(Effect.die(error)))
    outgoing.end(body)
  })
