import { useQuery } from "@tanstack/react-query"
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import { useState } from "react"
import { call } from "../api/Client.ts"
import { MachineRequest, useDecision } from "../requests/MachineRequest.tsx"
import { text } from "../text/Text.ts"
import { TextField } from "../ui/Dialog.tsx"
import { Page } from "../ui/Page.tsx"

/** A sign-in that was begun at a terminal: its verification address is `/terminal?code=WXYZ-2345` (RFC 8628 §3.3.1). */
export const TerminalPage = () => {
  const { code } = useSearch({ from: "/terminal" })
  return code === undefined ? <Ask /> : <Decide key={code} userCode={code} />
}

const Ask = () => {
  const navigate = useNavigate()
  const [userCode, setUserCode] = useState("")
  return (
    <Page title={text.terminalTitle} beside={<Link to="/">{text.back}</Link>}>
      <section className="card">
        <form
          onSubmit={(event) => {
            event.preventDefault()
            void navigate({ to: "/terminal", search: { code: userCode.trim() } })
          }}
        >
          <TextField
            label={text.terminalCode}
            value={userCode}
            onChange={setUserCode}
            maxLength={64}
            isRequired
          />
          <button type="submit">{text.goOn}</button>
        </form>
      </section>
    </Page>
  )
}

const Decide = ({ userCode }: { readonly userCode: string }) => {
  const params = { userCode }
  const { decide, decision } = useDecision((verb) =>
    call(`POST /api/auth/terminal/requests/:userCode/${verb}`, { params })
  )
  const asked = useQuery({
    queryKey: ["terminal-request", userCode],
    queryFn: () => call("GET /api/auth/terminal/requests/:userCode", { params }),
    enabled: decision === undefined
  })
  return (
    <MachineRequest
      title={text.terminalTitle}
      why={text.terminalWhy}
      decided={{ approve: text.terminalApproved, deny: text.terminalDenied }}
      asked={asked}
      decision={decision}
      onDecide={(verb) => void decide(verb)}
    />
  )
}
