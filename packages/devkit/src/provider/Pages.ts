import { createHash } from "node:crypto"
import { type ProviderUser, users } from "./Users.ts"

/** The provider's own pages: plain HTML, no script, nothing fetched from anywhere. */

const style = `
:root { color-scheme: light dark; --ink: #16202b; --soft: #5b6875; --line: #d5dce3; --page: #eef2f5; --card: #fff; --main: #0b5cad }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf2; --soft: #9aa8b5; --line: #33404c; --page: #12181f; --card: #1b242d; --main: #6db3f2 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { width: min(24rem, calc(100vw - 2rem)); padding: 2rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px }
h1 { margin: 0 0 .25rem; font-size: 1.35rem }
p { margin: 0 0 1.25rem; color: var(--soft) }
p[role=alert] { color: #c0392b }
fieldset { border: 0; margin: 0 0 1rem; padding: 0; display: grid; gap: .5rem }
label.user { display: flex; gap: .75rem; align-items: center; padding: .6rem .8rem; border: 1px solid var(--line); border-radius: 8px; cursor: pointer }
label.user:has(:checked) { border-color: var(--main); outline: 1px solid var(--main) }
label.user small { display: block; color: var(--soft) }
label.password { display: block; margin-bottom: 1rem }
input[type=password] { width: 100%; margin-top: .25rem; padding: .6rem .8rem; font: inherit; color: inherit; background: transparent; border: 1px solid var(--line); border-radius: 8px }
button { width: 100%; padding: .65rem; font: inherit; font-weight: 600; color: var(--card); background: var(--main); border: 1px solid var(--main); border-radius: 8px; cursor: pointer }
button.second { margin-top: .5rem; color: var(--main); background: transparent }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px }
`

const styleHash = createHash("sha256").update(style).digest("base64")

/** `formTargets`: the origins that a form here may end up at, by redirects. */
export const securityHeaders = (formTargets: ReadonlyArray<string>): Record<string, string> => ({
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": [
    "default-src 'none'",
    `style-src 'sha256-${styleHash}'`,
    `form-action 'self' ${formTargets.join(" ")}`,
    "frame-ancestors 'none'",
    "base-uri 'none'"
  ].join("; "),
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
})

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}
const escape = (text: string) => text.replace(/[&<>"']/g, (character) => entities[character] ?? "")

const page = (title: string, body: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)} · development provider</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
${body}
</main>
</body>
</html>
`

const userChoice = (user: ProviderUser, checked: boolean) => `<label class="user">
<input type="radio" name="login" value="${escape(user.subject)}"${checked ? " checked" : ""} required>
<span>${escape(user.name)}<small>${escape(user.subject)} · tenant ${escape(user.tenant)}</small></span>
</label>`

export const loginPage = (input: {
  readonly uid: string
  readonly client: string
  readonly error: string | undefined
  readonly hint: string | undefined
}) =>
  page(
    "Sign in",
    `<p>to continue to ${escape(input.client)}. This is the development provider: any password will do.</p>
${input.error === undefined ? "" : `<p role="alert">${escape(input.error)}</p>`}
<form method="post" action="/interaction/${escape(input.uid)}/login" autocomplete="off">
<fieldset>
${users.map((user, index) => userChoice(user, input.hint === undefined ? index === 0 : user.subject === input.hint)).join("\n")}
</fieldset>
<label class="password">Password <input type="password" name="password" placeholder="any"></label>
<button type="submit">Sign in</button>
</form>
<form method="post" action="/interaction/${escape(input.uid)}/cancel">
<button class="second" type="submit">Cancel</button>
</form>`
  )

/** `form` is the provider's own, empty but for its token; its buttons refer to it by id. */
export const signOutPage = (form: string) =>
  page(
    "Sign out",
    `<p>of the development provider, in this browser, and of all that was signed in through it.</p>
${form}
<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>
<button class="second" type="submit" form="op.logoutForm">Stay signed in</button>`
  )

export const signedOutPage = () => page("Signed out", "<p>You can close this page.</p>")

export const errorPage = (code: string, description: string | undefined) =>
  page(
    "That did not work",
    `<p>${escape(code)}${description === undefined ? "" : `: ${escape(description)}`}</p>`
  )
