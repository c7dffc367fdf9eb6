import { useState } from "react"
import { type AccessToken, call } from "../api/Client.ts"
import type { NewToken } from "../edges/TokensDialog.tsx"
import { labelPattern } from "../edges/Labels.tsx"
import { formatDays, text } from "../text/Text.ts"
import { FormDialog, TextField } from "../ui/Dialog.tsx"

type Scope = AccessToken["scopes"][number]

/** In the order of the catalogue, which has to have each. */
const scopes = Object.keys(text.scope) as ReadonlyArray<Scope>
const lifeDays = [1, 7, 30, 90, 365]

export const NewTokenDialog = (props: {
  readonly onMade: (token: NewToken) => void
  readonly onClose: () => void
}) => {
  const [name, setName] = useState("")
  const [chosen, setChosen] = useState<ReadonlyArray<Scope>>(["edges:read"])
  const [labels, setLabels] = useState("")
  const [days, setDays] = useState(30)
  const wanted = labels.split(/[\s,]+/).filter((label) => label !== "")

  return (
    <FormDialog
      title={text.makeToken}
      submit={text.makeToken}
      isReady={name.trim() !== "" && chosen.length > 0 && wanted.every((label) => labelPattern.test(label))}
      onSubmit={async () => {
        const made = await call("POST /api/tokens", {
          body: {
            name: name.trim(),
            scopes: chosen,
            expiresInSeconds: days * 86_400,
            ...(wanted.length > 0 && { edges: { labels: wanted } })
          }
        })
        props.onMade({ name: made.name, token: made.token })
      }}
      onClose={props.onClose}
    >
      <TextField label={text.tokenName} value={name} onChange={setName} maxLength={100} />
      <fieldset>
        <legend>{text.scopes}</legend>
        {scopes.map((scope) => (
          <label key={scope} className="row choice">
            <input
              type="checkbox"
              checked={chosen.includes(scope)}
              onChange={({ target }) =>
                setChosen(target.checked ? [...chosen, scope] : chosen.filter((one) => one !== scope))
              }
            />
            {text.scope[scope]}
          </label>
        ))}
      </fieldset>
      <TextField label={text.onlyLabels} hint={text.onlyLabelsHint} value={labels} onChange={setLabels} />
      <label className="field">
        <span>{text.validFor}</span>
        <select value={days} onChange={({ target }) => setDays(Number(target.value))}>
          {lifeDays.map((one) => (
            <option key={one} value={one}>
              {formatDays(one)}
            </option>
          ))}
        </select>
      </label>
    </FormDialog>
  )
}
