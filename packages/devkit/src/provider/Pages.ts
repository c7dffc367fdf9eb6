import * as PlainPage from "@edge-relay/auth/sign-in/PlainPage"
import { escapeHtml } from "@edge-relay/auth/sign-in/PlainPage"
import { type ProviderUser, users } from "./Users.ts"

/** The provider's own pages. A form's answer leads back to `publicUrl`, and browsers hold policies against that. */
export const headers = (publicUrl: URL) => PlainPage.headers(["'self'", publicUrl.origin])

const page = (title: string, body: string) => PlainPage.render({ title, owner: "development provider", body })

const choice = (user: ProviderUser, checked: boolean) => `<label class="choice">
<input type="radio" name="login" value="${escapeHtml(user.subject)}"${checked ? " checked" : ""} required>
<span>${escapeHtml(user.name)}<small>${escapeHtml(user.subject)} · tenant ${escapeHtml(user.tenant)}</small></span>
</label>`

export const loginPage = (input: {
  readonly uid: string
  readonly client: string
  readonly error: string | undefined
  readonly hint: string | undefined
}) => {
  const chosen = users.find(({ subject }) => subject === input.hint) ?? users[0]
  return page(
    "Sign in",
    `<p>to continue to ${escapeHtml(input.client)}. This is the development provider: any password will do.</p>
${input.error === undefined ? "" : `<p role="alert">${escapeHtml(input.error)}</p>`}
<form method="post" action="/interaction/${escapeHtml(input.uid)}/login" autocomplete="off">
<fieldset>
${users.map((user) => choice(user, user === chosen)).join("\n")}
</fieldset>
<label class="field">Password <input type="password" name="password" placeholder="any"></label>
<button type="submit">Sign in</button>
</form>
<form method="post" action="/interaction/${escapeHtml(input.uid)}/cancel">
<button class="second" type="submit">Cancel</button>
</form>`
  )
}

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
    `<p>${escapeHtml(code)}${description === undefined ? "" : `: ${escapeHtml(description)}`}</p>`
  )
