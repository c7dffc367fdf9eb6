import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import type { ProviderUnavailable } from "./OidcError.ts"
import type { SignInFailed, TooManySignIns } from "./SignInError.ts"

/** Pages for people, where something went wrong: what happened, and one thing to do. No script, nothing fetched. */
export interface SignInPage {
  readonly status: number
  readonly title: string
  readonly text: string
  readonly action: { readonly label: string; readonly href: string }
}

const style = `
:root { color-scheme: light dark; --ink: #16202b; --soft: #5b6875; --line: #d5dce3; --page: #eef2f5; --card: #fff; --main: #0b5cad }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf2; --soft: #9aa8b5; --line: #33404c; --page: #12181f; --card: #1b242d; --main: #6db3f2 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { width: min(26rem, calc(100vw - 2rem)); padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px }
h1 { margin: 0 0 .5rem; font-size: 1.35rem }
p { margin: 0 0 1.5rem; color: var(--soft) }
a { display: inline-block; padding: .6rem 1.1rem; font-weight: 600; color: var(--card); background: var(--main); border-radius: 8px; text-decoration: none }
a:focus-visible { outline: 3px solid var(--main); outline-offset: 2px }
`

const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'"
].join("; ")

const entities: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}
const escape = (text: string) => text.replace(/[&<>"']/g, (character) => entities[character] ?? "")

export const respond = (page: SignInPage): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(
    `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(page.title)} · Edge Relay</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escape(page.title)}</h1>
<p>${escape(page.text)}</p>
<a href="${escape(page.action.href)}">${escape(page.action.label)}</a>
</main>
</body>
</html>
`,
    {
      status: page.status,
      contentType: "text/html; charset=utf-8",
      headers: {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff"
      }
    }
  )

/** Whether a person reads the answer, rather than a program. */
export const wantsPage = (accept: string | undefined): boolean => accept?.includes("text/html") ?? false

export type Failure = SignInFailed | ProviderUnavailable | TooManySignIns | StorageUnavailable

const again = (returnTo: string) => ({
  label: "Sign in again",
  href: `/api/auth/login?${new URLSearchParams({ returnTo }).toString()}`
})

export const pageOf = (error: Failure): SignInPage => {
  switch (error._tag) {
    case "SignInFailed":
      return { status: 400, ...failures[error.reason], action: again(error.returnTo) }
    case "ProviderUnavailable":
      return {
        status: 503,
        title: "The identity provider does not answer",
        text: "Signing in is not possible at the moment. This is not about your account.",
        action: again("/")
      }
    case "TooManySignIns":
      return {
        status: 429,
        title: "Too many sign-ins",
        text: `There were too many sign-ins from your network. Try again in ${error.retryAfterSeconds} seconds.`,
        action: again("/")
      }
    case "StorageUnavailable":
      return {
        status: 503,
        title: "Signing in is not possible right now",
        text: "The server cannot reach its database. Nothing was changed.",
        action: again("/")
      }
  }
}

const failures: {
  readonly [reason in SignInFailed["reason"]]: { readonly title: string; readonly text: string }
} = {
  unknown: {
    title: "This sign-in has expired",
    text: "It took longer than ten minutes, was used already, or was begun in another browser."
  },
  signed_out: {
    title: "You have signed out",
    text: "You signed out in another tab while this sign-in was under way."
  },
  denied: {
    title: "You are not signed in",
    text: "The sign-in was cancelled at the identity provider."
  },
  refused: {
    title: "The identity provider refused",
    text: "It did not accept this sign-in. If this happens again, tell whoever runs this server."
  },
  untrusted: {
    title: "The sign-in could not be verified",
    text: "The identity provider's answer did not pass a security check, and was not used."
  },
  no_tenant: {
    title: "Your account belongs to no organisation",
    text: "The identity provider does not say which organisation you belong to. Ask whoever manages your account."
  }
}
