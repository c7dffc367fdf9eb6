import * as PlainPage from "@edge-relay/auth/sign-in/PlainPage"
import type { ServerResponse } from "node:http"
import type { RequestHead } from "./http/RequestHead.ts"

/** What a person sees where a navigation ends in a problem of ours: who gave up, what to do, and the request's id. */
export interface GatewayPage {
  readonly status: number
  readonly title: string
  readonly text: string
  readonly action?: { readonly label: string; readonly href: string }
  /** Seconds after which the browser asks again by itself. */
  readonly refreshSeconds?: number
  readonly requestId: string
  readonly cookies?: ReadonlyArray<string>
  readonly headers?: ReadonlyArray<string>
}

export const send = (response: ServerResponse, page: GatewayPage): void => {
  const { action, requestId, text, title } = page
  const link =
    action === undefined
      ? ""
      : `<a class="action" href="${PlainPage.escapeHtml(action.href)}">${PlainPage.escapeHtml(action.label)}</a>\n`
  const body = PlainPage.render({
    title,
    owner: "Edge Relay",
    body: `<p>${PlainPage.escapeHtml(text)}</p>\n${link}<p><small>Request ${PlainPage.escapeHtml(requestId)}</small></p>`
  })
  const headers = [...Object.entries(PlainPage.headers()).flat(), "X-Request-Id", requestId]
  headers.push("Content-Length", String(Buffer.byteLength(body)), ...(page.headers ?? []))
  if (page.refreshSeconds !== undefined) headers.push("Refresh", String(page.refreshSeconds))
  for (const cookie of page.cookies ?? []) headers.push("Set-Cookie", cookie)
  response.writeHead(page.status, headers)
  response.end(body)
}

const documents = new Set(["document", "iframe", "frame", "embed", "object"])

/**
 * Whether a browser will show the answer as a page: by `Sec-Fetch-Mode` and `Sec-Fetch-Dest` where it sends them, else
 * by `Accept`. A script's fetch never gets a page, nor a redirect to one.
 */
export const isNavigation = (
  method: string,
  { accept, secFetchDest, secFetchMode }: Pick<RequestHead, "accept" | "secFetchDest" | "secFetchMode">
): boolean => {
  if (method !== "GET" && method !== "HEAD") return false
  if (secFetchMode !== undefined && secFetchMode !== "navigate") return false
  if (secFetchDest !== undefined && !documents.has(secFetchDest)) return false
  return accept?.includes("text/html") === true
}
