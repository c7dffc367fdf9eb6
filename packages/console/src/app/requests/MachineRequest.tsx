import type { UseQueryResult } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { type ReactNode, useState } from "react"
import { Problem } from "../api/Problem.ts"
import { explain, formatAgo, formatMoment, text } from "../text/Text.ts"
import { attempt } from "../ui/Notices.tsx"
import { useNow } from "../ui/Now.ts"
import { Page } from "../ui/Page.tsx"

/** What the API tells of a request that a machine began (RFC 8628). */
interface Request {
  readonly userCode: string
  readonly address: string | null
  readonly ageSeconds: number
  readonly shown: { readonly hostname: string; readonly name?: string | null }
  readonly expiresAt: string
}

export type Verb = "approve" | "deny"

/** What a person decided here, and how to decide; the request is not asked for any more then. */
export const useDecision = (send: (verb: Verb) => Promise<unknown>) => {
  const [decision, setDecision] = useState<Verb>()
  const decide = (verb: Verb) =>
    attempt(async () => {
      await send(verb)
      setDecision(verb)
    })
  return { decision, decide }
}

/**
 * A machine asks for something, and a person decides. What we know ourselves stands first, then what the machine says of
 * itself, which may be meant to deceive (RFC 8628 §5.4).
 */
export const MachineRequest = (props: {
  readonly title: string
  readonly why: string
  readonly decided: { readonly [verb in Verb]: string }
  readonly asked: UseQueryResult<Request>
  readonly decision: Verb | undefined
  readonly onDecide: (verb: Verb) => void
  /** The way on where there is no such request. */
  readonly gone?: ReactNode
}) => {
  const now = useNow(5_000)
  const { asked, decision } = props
  const request = asked.data
  return (
    <Page title={props.title} beside={<Link to="/">{text.back}</Link>}>
      <div role="status">
        {decision !== undefined && <p>{props.decided[decision]}</p>}
        {decision === undefined && asked.isPending && <p className="dim">{text.loading}</p>}
      </div>
      {decision === undefined && asked.isError && (
        <>
          <p className="notice failed">
            {asked.error instanceof Problem && asked.error.status === 404
              ? text.requestGone
              : explain(asked.error)}
          </p>
          {props.gone}
        </>
      )}
      {decision === undefined && request !== undefined && (
        <section className="card">
          <dl className="facts">
            <Fact name={text.requestAddress}>{request.address ?? text.unknown}</Fact>
            <Fact name={text.requestAsked}>
              {formatAgo(new Date(asked.dataUpdatedAt - request.ageSeconds * 1000).toISOString(), now)}
            </Fact>
            <Fact name={text.requestCode} className="code small">
              {request.userCode}
            </Fact>
            {typeof request.shown.name === "string" && (
              <Fact name={text.requestName}>{request.shown.name}</Fact>
            )}
            <Fact name={text.requestHost}>{request.shown.hostname}</Fact>
            <Fact name={text.requestExpires}>{formatMoment(request.expiresAt)}</Fact>
          </dl>
          <p>{props.why}</p>
          <div className="row">
            <button type="button" onClick={() => props.onDecide("approve")}>
              {text.approve}
            </button>
            <button type="button" className="quiet" onClick={() => props.onDecide("deny")}>
              {text.deny}
            </button>
          </div>
        </section>
      )}
    </Page>
  )
}

const Fact = (props: {
  readonly name: string
  readonly className?: string
  readonly children: ReactNode
}) => (
  <div>
    <dt>{props.name}</dt>
    <dd className={props.className}>{props.children}</dd>
  </div>
)
