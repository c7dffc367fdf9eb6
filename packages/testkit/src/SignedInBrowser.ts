import { request, type RequestOptions } from "node:http"
import type { IncomingHttpHeaders } from "node:http"

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly text: string
  readonly url: URL
}

/** As much of a browser as signing in needs: cookies by host, redirects, forms. */
export class Browser {
  readonly #jars = new Map<string, Map<string, string>>()

  /** The `Cookie` header that this browser would send there, as `curl -b` wants it. */
  cookieFor(url: URL | string): string {
    // Cookies do not know of ports (RFC 6265 §8.5).
    const jar = this.#jars.get(new URL(url).hostname)
    return jar === undefined ? "" : [...jar].map(([name, value]) => `${name}=${value}`).join("; ")
  }

  send(
    method: string,
    url: URL | string,
    headers: Record<string, string> = {},
    body?: string | Buffer
  ): Promise<Answer> {
    const target = new URL(url)
    const cookie = this.cookieFor(target)
    const options: RequestOptions = {
      method,
      headers: {
        accept: "text/html,application/json",
        ...(cookie === "" ? {} : { cookie }),
        ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
        ...headers
      }
    }
    return new Promise((resolve, reject) => {
      const outgoing = request(target, options, (response) => {
        this.#keep(target, response.headers["set-cookie"] ?? [])
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("error", reject)
        response.on("end", () => {
          const all = Buffer.concat(chunks)
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: all,
            text: all.toString(),
            url: target
          })
        })
      })
      outgoing.on("error", reject)
      outgoing.end(body)
    })
  }

  /** Goes there and on, as an address bar does. */
  async visit(url: URL | string): Promise<Answer> {
    let answer = await this.send("GET", url, { "sec-fetch-mode": "navigate", "sec-fetch-site": "none" })
    for (let hop = 0; hop < 20 && answer.status >= 300 && answer.status < 400; hop++) {
      const next = new URL(answer.headers.location ?? "", answer.url)
      answer = await this.send("GET", next, { "sec-fetch-mode": "navigate", "sec-fetch-site": "same-site" })
    }
    return answer
  }

  /** Sends the page's form with these fields, and the ones that it has already, and follows on. */
  async submit(page: Answer, fields: Record<string, string>): Promise<Answer> {
    const form = page.text.match(/<form[^>]*>[\s\S]*?<\/form>/)?.[0] ?? ""
    const action = form.match(/action="([^"]*)"/)?.[1]?.replaceAll("&amp;", "&") ?? page.url.href
    const all = new URLSearchParams()
    for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
      const name = tag.match(/name="([^"]*)"/)?.[1]
      const value = tag.match(/value="([^"]*)"/)?.[1]
      if (name !== undefined && value !== undefined && !/type="(submit|radio)"/.test(tag))
        all.set(name, value)
    }
    for (const [name, value] of Object.entries(fields)) all.set(name, value)
    const target = new URL(action, page.url)
    const answer = await this.send(
      "POST",
      target,
      {
        "content-type": "application/x-www-form-urlencoded",
        origin: page.url.origin,
        "sec-fetch-site": "same-origin",
        "sec-fetch-mode": "navigate"
      },
      all.toString()
    )
    return answer.status >= 300 && answer.status < 400
      ? this.visit(new URL(answer.headers.location ?? "", target))
      : answer
  }

  async json(
    method: string,
    url: URL | string,
    body?: unknown
  ): Promise<{ readonly status: number; readonly json: unknown }> {
    const answer = await this.send(
      method,
      url,
      { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }) },
      body === undefined ? undefined : JSON.stringify(body)
    )
    return { status: answer.status, json: answer.text === "" ? undefined : JSON.parse(answer.text) }
  }

  #keep(url: URL, lines: ReadonlyArray<string>): void {
    const jar = this.#jars.get(url.hostname) ?? new Map<string, string>()
    this.#jars.set(url.hostname, jar)
    for (const line of lines) {
      const [pair = "", ...attributes] = line.split(";")
      const [name = "", ...value] = pair.split("=")
      const gone = attributes.some((one) => /^\s*(max-age=0|expires=thu, 01 jan 1970)/i.test(one))
      if (gone) jar.delete(name.trim())
      else jar.set(name.trim(), value.join("="))
    }
  }
}
