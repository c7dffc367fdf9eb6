import { useEffect, useState } from "react"
import { text } from "../text/Text.ts"
import { attempt } from "./Notices.tsx"

/** Copies, and says for two seconds that it did. */
export const CopyButton = (props: { readonly value: string; readonly label?: string }) => {
  const [isCopied, setCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return
    const timer = setTimeout(() => setCopied(false), 2_000)
    return () => clearTimeout(timer)
  }, [isCopied])
  return (
    <button
      type="button"
      className="quiet"
      aria-label={props.label}
      onClick={() =>
        void attempt(async () => {
          await navigator.clipboard.writeText(props.value)
          setCopied(true)
        })
      }
    >
      <span aria-live="polite">{isCopied ? text.copied : text.copy}</span>
    </button>
  )
}
