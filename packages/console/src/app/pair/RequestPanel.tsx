import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { useState } from "react"
import { call } from "../api/Client.ts"
import { Problem } from "../api/Problem.ts"
import { explain, formatAgo, formatMoment, text } from "../text/Text.ts"
import { attempt } from "../ui/Notices.tsx"
import { useNow } from "../ui/Now.ts"
import { Page } from "../ui/Page.tsx"

/** Pairing begun at the edge: its verification address is `/pair?code=WXYZ-2345` (RFC 8628 §3.3.1). */
export const RequestPanel = ({ userCode }: { readonly userCode: string }) => {
  const now = useNow(5_000)
  const [decision, setDecision] = useState<"approve" | "deny">()
  const params = { userCode }
  const asked = useQuery({
    queryKey: ["pairing-request", userCode],
    queryFn: () => call("GET /api/pairing/requests/:userCode", { params }),
    enabled: decision === undefined
  })
  const decide = (verb: "approve" | "deny") =>
    attempt(async () => {
      await call(`POST /api/pairing/requests/:userCode/${verb}`, { params })
      setDecision(verb)
    })
  const request = asked.data

  return (
    <Page title={text.requestTitle} beside={<Link to="/">{text.back}</Link>}>
      <div role="status">
        {decision !== undefined && <p>{decision === "approve" ? text.approved : text.denied}</p>}
        {decision === undefined && asked.isPending && <p className="dim">{text.loading}</p>}
      </div>
      {decision === undefined && asked.isError && (
        <>
          <p className="notice failed">
            {asked.error instanceof Problem && asked.error.status === 404
              ? text.requestGone
              : explain(asked.error)}
          </p>
          <Link to="/pair" className="button quiet">
            {text.machineCode}
          </Link>
        </>
      )}
      {decision === undefined && request !== undefined && (
        <section className="card">
          <dl className="facts">
            <div>
              <dt>{text.requestCode}</dt>
              <dd className="code small">{request.userCode}</dd>
            </div>
            {request.name !== null && (
              <div>
                <dt>{text.requestName}</dt>
                <dd>{request.name}</dd>
              </div>
            )}
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
          <p>{text.requestWhy}</p>
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
