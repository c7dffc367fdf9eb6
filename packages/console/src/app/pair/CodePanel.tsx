import { Link } from "@tanstack/react-router"
import { useEffect, useRef, useState } from "react"
import { call, type Edge, type NewCode } from "../api/Client.ts"
import { useFleet } from "../live/LiveEdges.ts"
import { formatLeft, text } from "../text/Text.ts"
import { CopyButton } from "../ui/CopyButton.tsx"
import { attempt } from "../ui/Notices.tsx"
import { useNow } from "../ui/Now.ts"
import { Qr } from "./Qr.tsx"

/** A code for across the room, until it is used or has run out; then the edge that came by it. */
export const CodePanel = ({ made, onAgain }: { readonly made: NewCode; readonly onAgain: () => void }) => {
  const left = Math.max(0, Math.round((Date.parse(made.expiresAt) - useNow(1_000)) / 1000))
  const edge = usePairedBy(made)
  const title = useRef<HTMLHeadingElement>(null)
  // What was pressed to come here is gone.
  useEffect(() => title.current?.focus(), [])

  return (
    <section className="card code-panel" aria-labelledby="code-title">
      <h2 id="code-title" ref={title} tabIndex={-1}>
        {text.codeTitle}
      </h2>
      {edge === undefined && left > 0 && (
        <>
          <p className="code">{made.code}</p>
          <p className="left" role="timer">
            {text.timeLeft(formatLeft(left))}
          </p>
          <p>{text.codeWorks}</p>
          <div className="command">
            <code>{made.command}</code>
            <CopyButton value={made.command} />
          </div>
          <Qr value={made.command} label={text.qrCommand} />
          <p className="dim">{text.waitingForUse}</p>
          <button
            type="button"
            className="quiet"
            onClick={() =>
              void attempt(async () => {
                await call("DELETE /api/pairing/codes/:id", { params: { id: made.id } })
                onAgain()
              })
            }
          >
            {text.cancelCode}
          </button>
        </>
      )}
      <div role="status">
        {edge !== undefined &&
          (edge.online ? (
            <p className="paired">
              <span className="tick" aria-hidden>
                ✓
              </span>
              {text.connected(edge.name)}
            </p>
          ) : (
            <p>{text.paired(edge.name)}</p>
          ))}
        {edge === undefined && left === 0 && <p>{text.codeExpired}</p>}
      </div>
      {(edge !== undefined || left === 0) && (
        <div className="row">
          {edge !== undefined && (
            <Link className="button" to="/edges/$edgeId" params={{ edgeId: edge.id }}>
              {text.seeEdge}
            </Link>
          )}
          <button type="button" className="quiet" onClick={onAgain}>
            {text.anotherCode}
          </button>
        </div>
      )}
    </section>
  )
}

/**
 * The edge that was paired by this code: one that was not there before, once the code is no longer open. The contract
 * does not say which code an edge came by; of several at the same time, each is shown its newest.
 */
const usePairedBy = (made: NewCode): Edge | undefined => {
  const { edges } = useFleet()
  const [before] = useState(() => new Set(edges.keys()))
  const [isUsed, setUsed] = useState(false)
  const fresh = Array.from(edges.values()).filter(
    ({ createdAt, id }) => !before.has(id) && Date.parse(createdAt) > Date.parse(made.expiresAt) - 3_600_000
  )
  const newest = fresh.sort((one, other) => (one.id < other.id ? 1 : -1))[0]
  const newestId = newest?.id
  useEffect(() => {
    if (newestId === undefined || isUsed) return
    let isOver = false
    call("GET /api/pairing/codes", { query: { limit: "200" } }).then(
      ({ items }) => !isOver && setUsed(items.every(({ id }) => id !== made.id)),
      // The next edge asks again.
      () => {}
    )
    return () => {
      isOver = true
    }
  }, [newestId, isUsed, made.id])
  return isUsed ? newest : undefined
}
