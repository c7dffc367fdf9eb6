import { useEffect, useRef } from "react"
import { text } from "../text/Text.ts"
import { signInHref } from "./Session.ts"

/** One sentence, one button: it leads back to the page that was asked for. */
export const SignedOut = ({ hasEnded }: { readonly hasEnded: boolean }) => {
  const link = useRef<HTMLAnchorElement>(null)
  useEffect(() => {
    document.title = text.name
    // The page was another one a moment ago, and the focus was somewhere in it.
    if (hasEnded) link.current?.focus()
  }, [hasEnded])
  return (
    <main className="alone">
      <h1>{text.name}</h1>
      <p role={hasEnded ? "alert" : undefined}>{hasEnded ? text.sessionEnded : text.purpose}</p>
      <a className="button" ref={link} href={signInHref()}>
        {text.signIn}
      </a>
    </main>
  )
}
