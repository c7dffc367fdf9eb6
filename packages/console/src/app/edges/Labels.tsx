import { useMay } from "../session/May.ts"
import { useState } from "react"
import { call, type Edge } from "../api/Client.ts"
import { liveEdges } from "../live/LiveEdges.ts"
import { text } from "../text/Text.ts"
import { attempt } from "../ui/Notices.tsx"

/** As the contract has it. */
export const labelPattern = /^[\w.:=/-]{1,63}$/

/** An edge's labels, each with its own way out, and a field for one more. */
export const Labels = ({ edge }: { readonly edge: Edge }) => {
  const [label, setLabel] = useState("")
  const isOperator = useMay("operator")
  const save = (labels: ReadonlyArray<string>) =>
    attempt(async () => {
      const params = { edgeId: edge.id }
      liveEdges.put(await call("PATCH /api/edges/:edgeId", { params, body: { labels } }))
      setLabel("")
    })
  return (
    <div className="row">
      {edge.labels.map((one) => (
        <span key={one} className="label">
          {one}
          {isOperator && (
            <button
              type="button"
              className="plain"
              aria-label={text.removeLabelNamed(one)}
              onClick={() => void save(edge.labels.filter((other) => other !== one))}
            >
              <span aria-hidden>×</span>
            </button>
          )}
        </span>
      ))}
      {isOperator && (
        <form
          className="row"
          onSubmit={(event) => {
            event.preventDefault()
            if (labelPattern.test(label)) void save([...edge.labels.filter((one) => one !== label), label])
          }}
        >
          <input
            aria-label={text.label}
            placeholder={text.label}
            title={text.labelHint}
            value={label}
            maxLength={63}
            pattern="[\w.:=\/\-]{1,63}"
            autoComplete="off"
            onChange={({ target }) => setLabel(target.value)}
          />
          <button type="submit" className="quiet">
            {text.addLabel}
          </button>
        </form>
      )}
    </div>
  )
}
