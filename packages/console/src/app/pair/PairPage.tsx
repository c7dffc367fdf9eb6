import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import { useState } from "react"
import { call, type NewCode } from "../api/Client.ts"
import { text } from "../text/Text.ts"
import { TextField } from "../ui/Dialog.tsx"
import { attempt } from "../ui/Notices.tsx"
import { Page } from "../ui/Page.tsx"
import { CodePanel } from "./CodePanel.tsx"
import { RequestPanel } from "./RequestPanel.tsx"

/** Both ways to pair: a code made here and typed there, or made there and typed here. */
export const PairPage = () => {
  const { code } = useSearch({ from: "/pair" })
  return code === undefined ? <Begin /> : <RequestPanel key={code} userCode={code} />
}

const Begin = () => {
  const navigate = useNavigate()
  const [name, setName] = useState("")
  const [made, setMade] = useState<NewCode>()
  const [userCode, setUserCode] = useState("")
  const make = () =>
    attempt(async () => {
      const body = name.trim() === "" ? {} : { name: name.trim() }
      setMade(await call("POST /api/pairing/codes", { body }))
      setName("")
    })
  return (
    <Page title={text.pair} beside={<Link to="/">{text.back}</Link>}>
      {made !== undefined ? (
        <CodePanel key={made.id} made={made} onAgain={() => setMade(undefined)} />
      ) : (
        <div className="columns">
          <section className="card" aria-labelledby="make-code">
            <h2 id="make-code">{text.makeCode}</h2>
            <p>{text.makeCodeHow}</p>
            <form
              onSubmit={(event) => {
                event.preventDefault()
                void make()
              }}
            >
              <TextField label={text.nameOptional} value={name} onChange={setName} maxLength={100} />
              <button type="submit">{text.makeCode}</button>
            </form>
          </section>
          <section className="card" aria-labelledby="have-code">
            <h2 id="have-code">{text.haveCode}</h2>
            <p>{text.haveCodeHow}</p>
            <form
              onSubmit={(event) => {
                event.preventDefault()
                if (userCode.trim() !== "") void navigate({ to: "/pair", search: { code: userCode.trim() } })
              }}
            >
              <TextField
                label={text.machineCode}
                value={userCode}
                onChange={setUserCode}
                maxLength={64}
                isRequired
              />
              <button type="submit" className="quiet">
                {text.goOn}
              </button>
            </form>
          </section>
        </div>
      )}
    </Page>
  )
}
