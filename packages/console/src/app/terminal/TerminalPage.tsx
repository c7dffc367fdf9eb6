import { useQuery } from "@tanstack/react-query"
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import { useState } from "react"
import { call } from "../api/Client.ts"
import { Problem } from "../api/Problem.ts"
import { explain, formatAgo, formatMoment, text } from "../text/Text.ts"
import { TextField } from "../ui/Dialog.tsx"
import { attempt } from "../ui/Notices.tsx"
import { useNow } from "../ui/Now.ts"
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
  const now = useNow(5_000)
  const [decision, setDecision] = useState<"approve" | "deny">()
  const params = { userCode }
  const asked = useQuery({
    queryKey: ["terminal-request", userCode],
    queryFn: () => call("GET /api/auth/terminal/requests/:userCode", { params }),
    enabled: decision === undefined
  })
  const decide = (verb: "approve" | "deny") =>
    attempt(async () => {
      await call(`POST /api/auth/terminal/requests/:userCode/${verb}`, { params })
      setDecision(verb)
    })
  const request = asked.data

  return (
    <Page title={text.terminalTitle} beside={<Link to="/">{text.back}</Link>}>
      <div role="status">
        {decision !== undefined && (
          <p>{decision === "approve" ? text.terminalApproved : text.terminalDenied}</p>
        )}
        {decision === undefined && asked.isPending && <p className="dim">{text.loading}</p>}
      </div>
      {decision === undefined && asked.isError && (
        <p className="notice failed">
          {asked.error instanceof Problem && asked.error.status === 404
            ? text.requestGone
            : explain(asked.error)}
        </p>
      )}
      {decision === undefined && request !== undefined && (
        <section className="card">
          <dl className="facts">
            <div>
              <dt>{text.requestCode}</dt>
              <dd className="code small">{request.userCode}</dd>
            </div>
            <div>
              <dt>{text.requestHost}</dt>
              <dd>{request.hostname}</dd>
            </div>
            <div>
              <dt>{text.requestAddress}</dt>
              <dd>{request.address ?? text.unknown}</dd>
            </div>
            <div>
              <dt>{text.requestAsked}</dt>
              <dd>{formatAgo(request.createdAt, now)}</dd>
            </div>
            <div>
              <dt>{text.requestExpires}</dt>
              <dd>{formatMoment(request.expiresAt)}</dd>
            </div>
          </dl>
          <p>{text.terminalWhy}</p>
          <div className="row">
            <button type="button" onClick={() => void decide("approve")}>
              {text.approve}
            </button>
            <button type="button" className="quiet" onClick={() => void decide("deny")}>
              {text.deny}
            </button>
          </div>
        </section>
      )}
    </Page>
  )
}
