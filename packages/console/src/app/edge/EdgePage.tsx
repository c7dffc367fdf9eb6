import { useMay } from "../session/May.ts"
import { useQuery } from "@tanstack/react-query"
import { Link, useNavigate, useParams } from "@tanstack/react-router"
import { useMemo, useState } from "react"
import { call, type Edge } from "../api/Client.ts"
import { Problem } from "../api/Problem.ts"
import { EdgeState } from "../edges/EdgeState.tsx"
import { useFigures } from "../edges/Figures.ts"
import { Labels } from "../edges/Labels.tsx"
import { OpenLink } from "../edges/OpenLink.tsx"
import { type NewToken, TokensDialog } from "../edges/TokensDialog.tsx"
import { liveEdges, useFleet } from "../live/LiveEdges.ts"
import { explain, text } from "../text/Text.ts"
import { ConfirmDialog, FormDialog, TextField } from "../ui/Dialog.tsx"
import { attempt, tellDone } from "../ui/Notices.tsx"
import { Page } from "../ui/Page.tsx"
import { EdgeFacts } from "./EdgeFacts.tsx"

/** One edge: what it is doing, and all that can be done with it. */
export const EdgePage = () => {
  const { edgeId } = useParams({ from: "/edges/$edgeId" })
  const { edges, isComplete } = useFleet()
  const known = edges.get(edgeId)
  // The list may be long under way: this one is asked for by itself.
  const asked = useQuery({
    queryKey: ["edge", edgeId],
    queryFn: async () => {
      const edge = await call("GET /api/edges/:edgeId", { params: { edgeId } })
      liveEdges.put(edge)
      return edge
    }
  })
  const edge = known ?? (isComplete ? undefined : asked.data)
  if (edge !== undefined) return <Known edge={edge} />
  const isGone =
    asked.data !== undefined || (asked.error instanceof Problem && [400, 404].includes(asked.error.status))
  return (
    <Page title={isGone ? text.edgeGone : text.edge}>
      {isGone ? (
        <p>{text.edgeGoneWhy}</p>
      ) : asked.isError ? (
        <p className="notice failed">{explain(asked.error)}</p>
      ) : (
        <p className="dim">{text.loading}</p>
      )}
      <Link to="/">{text.back}</Link>
    </Page>
  )
}

type Question = "rename" | "rotate" | "remove"

const Known = ({ edge }: { readonly edge: Edge }) => {
  const navigate = useNavigate()
  const [question, setQuestion] = useState<Question>()
  const [name, setName] = useState("")
  const [token, setToken] = useState<NewToken>()
  useFigures(useMemo(() => [edge], [edge]))
  const params = { edgeId: edge.id }
  const close = () => setQuestion(undefined)
  const isOperator = useMay("operator")
  const isAdmin = useMay("admin")

  return (
    <Page
      title={edge.name}
      beside={
        isOperator && (
          <button
            type="button"
            className="quiet"
            onClick={() => {
              setName(edge.name)
              setQuestion("rename")
            }}
          >
            {text.rename}
          </button>
        )
      }
    >
      <p className="row">
        <EdgeState edge={edge} />
        {edge.contended && <span>{text.contendedWhy}</span>}
      </p>

      <section aria-labelledby="services">
        <h2 id="services">{text.services}</h2>
        <ul className="services">
          <li>
            <span>http</span>
            {edge.online ? <OpenLink edge={edge} /> : <span className="dim">{text.serviceOffline}</span>}
          </li>
        </ul>
      </section>

      <section aria-labelledby="labels">
        <h2 id="labels">{text.labels}</h2>
        <Labels edge={edge} />
      </section>

      <EdgeFacts edge={edge} />

      {isOperator && (
        <section aria-labelledby="dangerous">
          <h2 id="dangerous">{text.dangerous}</h2>
          <div className="row">
            {edge.online && (
              <button
                type="button"
                className="quiet"
                onClick={() =>
                  void attempt(async () => {
                    await call("POST /api/edges/:edgeId/disconnect", { params })
                    tellDone(text.disconnected)
                  })
                }
              >
                {text.disconnect}
              </button>
            )}
            {isAdmin && (
              <>
                <button type="button" className="quiet" onClick={() => setQuestion("rotate")}>
                  {text.rotate}
                </button>
                <button type="button" className="quiet danger" onClick={() => setQuestion("remove")}>
                  {text.remove}
                </button>
              </>
            )}
          </div>
        </section>
      )}

      {question === "rename" && (
        <FormDialog
          title={text.rename}
          submit={text.save}
          isReady={name.trim() !== ""}
          onSubmit={async () => {
            liveEdges.put(await call("PATCH /api/edges/:edgeId", { params, body: { name: name.trim() } }))
            tellDone(text.renamed(name.trim()))
          }}
          onClose={close}
        >
          <TextField label={text.newName} value={name} onChange={setName} maxLength={100} />
        </FormDialog>
      )}
      {question === "rotate" && (
        <FormDialog
          title={text.rotateOne(edge.name)}
          submit={text.rotate}
          onSubmit={async () => {
            const { token } = await call("POST /api/edges/:edgeId/token/rotate", { params })
            setToken({ name: edge.name, token })
          }}
          onClose={close}
        >
          <p>{text.rotateWhy}</p>
        </FormDialog>
      )}
      {question === "remove" && (
        <ConfirmDialog
          title={text.removeOne(edge.name)}
          why={text.removeOneWhy}
          typed={edge.name}
          prompt={text.typeName(edge.name)}
          submit={text.remove}
          onSubmit={async () => {
            await call("DELETE /api/edges/:edgeId", { params })
            await navigate({ to: "/" })
            liveEdges.drop(edge.id)
            tellDone(text.removed(edge.name))
          }}
          onClose={close}
        />
      )}
      {token !== undefined && <TokensDialog tokens={[token]} onClose={() => setToken(undefined)} />}
    </Page>
  )
}
