import { useMay } from "../session/May.ts"
import { useState } from "react"
import { call, type Edge } from "../api/Client.ts"
import { liveEdges } from "../live/LiveEdges.ts"
import { explain, formatNumber, text } from "../text/Text.ts"
import { ConfirmDialog, FormDialog, TextField } from "../ui/Dialog.tsx"
import { tellDone, tellFailed } from "../ui/Notices.tsx"
import { labelPattern } from "./Labels.tsx"
import { type NewToken, TokensDialog } from "./TokensDialog.tsx"

type Question = "addLabel" | "removeLabel" | "rotate" | "remove"

export const BulkActions = (props: { readonly edges: ReadonlyArray<Edge>; readonly onClear: () => void }) => {
  const { edges, onClear } = props
  const [question, setQuestion] = useState<Question>()
  const [label, setLabel] = useState("")
  const [tokens, setTokens] = useState<ReadonlyArray<NewToken>>([])
  const count = formatNumber(edges.length)
  const close = () => {
    setQuestion(undefined)
    setLabel("")
  }

  const isOperator = useMay("operator")
  const isAdmin = useMay("admin")

  const relabel = async (change: (labels: ReadonlyArray<string>) => ReadonlyArray<string>) => {
    const changed = await forEach(edges, async ({ id, labels }) => {
      const body = { labels: change(labels) }
      liveEdges.put(await call("PATCH /api/edges/:edgeId", { params: { edgeId: id }, body }))
    })
    if (changed > 0) tellDone(text.labelled(formatNumber(changed)))
  }

  return (
    <div className="row bulk" role="group" aria-label={text.actionsFor}>
      <strong>{text.chosen(count)}</strong>
      {isOperator && (
        <>
          <button type="button" className="quiet" onClick={() => setQuestion("addLabel")}>
            {text.addLabel}
          </button>
          <button
            type="button"
            className="quiet"
            disabled={edges.every(({ labels }) => labels.length === 0)}
            onClick={() => setQuestion("removeLabel")}
          >
            {text.removeLabel}
          </button>
        </>
      )}
      {isAdmin && (
        <>
          <button type="button" className="quiet" onClick={() => setQuestion("rotate")}>
            {text.rotateTokens}
          </button>
          <button type="button" className="quiet danger" onClick={() => setQuestion("remove")}>
            {text.remove}
          </button>
        </>
      )}
      <button type="button" className="quiet" onClick={onClear}>
        {text.clearSelection}
      </button>

      {question === "addLabel" && (
        <FormDialog
          title={text.addLabel}
          submit={text.addLabel}
          isReady={labelPattern.test(label)}
          onSubmit={() => relabel((labels) => [...labels.filter((one) => one !== label), label])}
          onClose={close}
        >
          <TextField
            label={text.label}
            hint={text.labelHint}
            value={label}
            onChange={setLabel}
            maxLength={63}
          />
        </FormDialog>
      )}
      {question === "removeLabel" && (
        <FormDialog
          title={text.removeLabel}
          submit={text.removeLabel}
          isReady={label !== ""}
          onSubmit={() => relabel((labels) => labels.filter((one) => one !== label))}
          onClose={close}
        >
          <label className="field">
            <span>{text.label}</span>
            <select value={label} onChange={({ target }) => setLabel(target.value)}>
              <option value="" />
              {Array.from(new Set(edges.flatMap(({ labels }) => labels))).map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </label>
        </FormDialog>
      )}
      {question === "rotate" && (
        <FormDialog
          title={text.rotateTokens}
          submit={text.rotateTokens}
          onSubmit={async () => {
            const made: Array<NewToken> = []
            await forEach(edges, async ({ id, name }) => {
              const { token } = await call("POST /api/edges/:edgeId/token/rotate", { params: { edgeId: id } })
              made.push({ name, token })
            })
            setTokens(made)
          }}
          onClose={close}
        >
          <p>{text.rotateWhy}</p>
        </FormDialog>
      )}
      {question === "remove" && (
        <ConfirmDialog
          title={text.removeMany(count)}
          why={text.removeManyWhy}
          typed={String(edges.length)}
          prompt={text.typeCount(String(edges.length))}
          submit={text.remove}
          onSubmit={async () => {
            const removed = await forEach(edges, async ({ id }) => {
              await call("DELETE /api/edges/:edgeId", { params: { edgeId: id } })
              liveEdges.drop(id)
            })
            if (removed > 0) tellDone(text.removedCount(formatNumber(removed)))
          }}
          onClose={close}
        />
      )}
      {tokens.length > 0 && <TokensDialog tokens={tokens} onClose={() => setTokens([])} />}
    </div>
  )
}

/** One after the other; what fails is told and keeps none of the others. Answers how many did not fail. */
const forEach = async (edges: ReadonlyArray<Edge>, act: (edge: Edge) => Promise<void>): Promise<number> => {
  const failures: Array<string> = []
  for (const edge of edges) {
    try {
      await act(edge)
    } catch (error) {
      failures.push(text.failedFor(edge.name, explain(error)))
    }
  }
  if (failures.length > 0) tellFailed(failures.join(" "))
  return edges.length - failures.length
}
