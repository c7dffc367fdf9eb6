import type { ServerResponse } from "node:http"
import * as GatewayPage from "../GatewayPage.ts"
import type { NotSignedIn } from "./HostSignIn.ts"

/** What is answered on an edge's host on the way to being signed in there. */

export const sendRedirect = (
  response: ServerResponse,
  { cookies, location }: { readonly location: string; readonly cookies: ReadonlyArray<string> },
  requestId: string
): void => {
  const headers = ["Location", location, "Cache-Control", "no-store", "Referrer-Policy", "no-referrer"]
  headers.push("Content-Length", "0", "X-Request-Id", requestId)
  for (const cookie of cookies) headers.push("Set-Cookie", cookie)
  response.writeHead(302, headers)
  response.end()
}

const reasons: { readonly [reason in NotSignedIn["reason"]]: string } = {
  browser:
    "This link was made for another browser, or your browser keeps no cookies here. Allow cookies for this address and open it again.",
  ticket: "The link was used before, or took longer than 30 seconds."
}

export const sendNotSignedIn = (
  response: ServerResponse,
  requestId: string,
  { cookies, path, reason }: NotSignedIn
): void =>
  GatewayPage.send(response, {
    status: 400,
    title: "You are not signed in here",
    text: reasons[reason],
    action: { label: "Open it again", href: path },
    requestId,
    cookies
  })

/** Two sign-ins in a row that the next request did not show: a third would be a loop. */
export const sendLoop = (response: ServerResponse, requestId: string, cookies: ReadonlyArray<string>): void =>
  GatewayPage.send(response, {
    status: 400,
    title: "Signing in here does not hold",
    text: "You were signed in twice, and your browser did not send the cookie back as it was set. Remove this site's cookies, or open it in a private window.",
    action: { label: "Open it again", href: "/" },
    requestId,
    cookies
  })
