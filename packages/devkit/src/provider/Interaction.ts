import type { IncomingMessage, ServerResponse } from "node:http"
import { text } from "node:stream/consumers"
import type { Provider } from "oidc-provider"
import { SessionNotFound } from "oidc-provider/lib/helpers/errors.js"
import { errorPage, loginPage, headers } from "./Pages.ts"
import { userOf } from "./Users.ts"

/** A name and a password fit many times over. */
const maxFormBytes = 16_384

const route = /^\/interaction\/([\w-]+)(?:\/(login|cancel))?$/

/** The sign-in page: answers whether the request was for it. */
export const makeInteraction = (provider: Provider, publicUrl: URL, onError: (error: unknown) => void) => {
  const pageHeaders = headers(publicUrl)

  const show = (response: ServerResponse, status: number, html: string) => {
    response.writeHead(status, pageHeaders).end(html)
  }

  const act = async (request: IncomingMessage, response: ServerResponse, action: string | undefined) => {
    const interaction = await provider.interactionDetails(request, response)
    const client = await provider.Client.find(String(interaction.params["client_id"]))
    const page = (error?: string) =>
      loginPage({
        uid: interaction.uid,
        client: client?.clientName ?? "the application",
        error,
        hint:
          typeof interaction.params["login_hint"] === "string" ? interaction.params["login_hint"] : undefined
      })

    if (action === undefined && request.method === "GET") return show(response, 200, page())
    if (request.method !== "POST" || action === undefined)
      return show(response, 405, errorPage("method not allowed", undefined))
    if (action === "cancel") {
      return provider.interactionFinished(
        request,
        response,
        { error: "access_denied", error_description: "the user cancelled" },
        { mergeWithLastSubmission: false }
      )
    }
    if (Number(request.headers["content-length"] ?? maxFormBytes + 1) > maxFormBytes) {
      return show(response, 413, errorPage("the form is too large", undefined))
    }
    const user = userOf(new URLSearchParams(await text(request)).get("login") ?? "")
    if (user === undefined) return show(response, 400, page("There are alice and bob here, nobody else."))
    return provider.interactionFinished(
      request,
      response,
      { login: { accountId: user.subject } },
      { mergeWithLastSubmission: false }
    )
  }

  return (request: IncomingMessage, response: ServerResponse): boolean => {
    const match = route.exec(URL.parse(request.url ?? "/", "http://provider")?.pathname ?? "/")
    if (match === null) return false
    act(request, response, match[2]).catch((error: unknown) => {
      const expired = error instanceof SessionNotFound
      if (response.headersSent) response.destroy()
      else if (expired)
        show(response, 400, errorPage("this sign-in has expired", "go back and sign in again"))
      else show(response, 500, errorPage("server_error", undefined))
      if (!expired) onError(error)
    })
    return true
  }
}
