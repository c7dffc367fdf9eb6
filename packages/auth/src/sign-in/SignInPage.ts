import type { StorageUnavailable } from "@edge-relay/domain/StorageUnavailable"
import { HttpServerResponse } from "effect/http"
import type { ProviderUnavailable } from "../provider/OidcError.ts"
import * as PlainPage from "./PlainPage.ts"
import { escapeHtml } from "./PlainPage.ts"
import { loginPath } from "./ReturnTo.ts"
import type { SignInFailed, TooManySignIns } from "./SignInError.ts"

/** Pages for people, where something went wrong: what happened, and one thing to do. */
export interface SignInPage {
  readonly status: number
  readonly title: string
  readonly text: string
  readonly action: { readonly label: string; readonly href: string }
}

export const respond = ({
  action,
  status,
  text,
  title
}: SignInPage): HttpServerResponse.HttpServerResponse => {
  const { "content-type": contentType, ...headers } = PlainPage.headers()
  const body = `<p>${escapeHtml(text)}</p>
<a class="action" href="${escapeHtml(action.href)}">${escapeHtml(action.label)}</a>`
  return HttpServerResponse.text(PlainPage.render({ title, owner: "Edge Relay", body }), {
    status,
    contentType,
    headers
  })
}

/** Whether a person reads the answer, rather than a program. */
export const wantsPage = (accept: string | undefined): boolean => accept?.includes("text/html") ?? false

export type Failure = SignInFailed | ProviderUnavailable | TooManySignIns | StorageUnavailable

const again = (returnTo: string) => ({ label: "Sign in again", href: loginPath(returnTo) })

/** `returnTo`: where the person wanted to go, as far as it is known. */
export const pageOf = (error: Failure, returnTo = "/"): SignInPage => {
  switch (error._tag) {
    case "SignInFailed":
      return { status: 400, ...failures[error.reason], action: again(error.returnTo) }
    case "ProviderUnavailable":
      if (error.fault !== undefined) {
        return {
          status: 503,
          title: "Signing in is not set up right",
          text: `Whoever runs this server can put it right: ${error.fault}.`,
          action: again(returnTo)
        }
      }
      return {
        status: 503,
        title: "The identity provider does not answer",
        text: "Signing in is not possible at the moment. This is not about your account.",
        action: again(returnTo)
      }
    case "TooManySignIns":
      return {
        status: 429,
        title: "Too many sign-ins",
        text: `There were too many sign-ins from your network. Try again in ${error.retryAfterSeconds} seconds.`,
        action: again(returnTo)
      }
    case "StorageUnavailable":
      return {
        status: 503,
        title: "Signing in is not possible right now",
        text: "The server cannot reach its database. Nothing was changed.",
        action: again(returnTo)
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
  no_cookie: {
    title: "Your browser did not send our cookie",
    text: "Signing in needs a cookie of this site. Allow cookies here, and finish in the browser where you began."
  },
  signed_out: {
    title: "You have signed out",
    text: "You signed out, here or at the identity provider, while this sign-in was under way."
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
  },
  no_role: {
    title: "Your account has no role here",
    text: "The identity provider does not say that you may use this. Ask whoever manages your account."
  }
}
