import { useMay } from "../session/May.ts"
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import { lazy, Suspense, useMemo, useRef, useState } from "react"
import type { Edge } from "../api/Client.ts"
import { useFleet } from "../live/LiveEdges.ts"
import { formatNumber, text } from "../text/Text.ts"
import { Empty, Page } from "../ui/Page.tsx"
import { EdgeFilters } from "./EdgeFilters.tsx"
import { compare, type EdgeQuery, fits, isFiltered } from "./EdgeQuery.ts"
import { EdgeTable } from "./EdgeTable.tsx"

/** Loaded when something is chosen. */
const BulkActions = lazy(async () => ({ default: (await import("./BulkActions.tsx")).BulkActions }))

export const EdgesPage = () => {
  const query: EdgeQuery = useSearch({ from: "/" })
  const navigate = useNavigate()
  const fleet = useFleet()
  const isAdmin = useMay("admin")
  const shown = useShown(fleet.edges, query)
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const change = (next: Partial<EdgeQuery>) =>
    void navigate({ to: "/", search: { ...query, ...next }, replace: true })
  // What was removed meanwhile, or is filtered away, is not acted on.
  const acting = shown.filter(({ id }) => chosen.has(id))
  const count = fleet.edges.size

  return (
    <Page
      title={text.edges}
      beside={
        isAdmin && (
          <Link to="/pair" className="button">
            {text.pair}
          </Link>
        )
      }
    >
      {count === 0 ? (
        fleet.isComplete ? (
          <Empty title={text.firstEdge} why={text.firstEdgeHow} />
        ) : (
          <p className="dim">{text.loading}</p>
        )
      ) : (
        <>
          <EdgeFilters query={query} edges={fleet.edges} onChange={change} />
          <p className="dim count" role="status">
            {!fleet.isComplete
              ? text.loadingMore(formatNumber(count))
              : isFiltered(query)
                ? text.countOf(formatNumber(shown.length), formatNumber(count))
                : text.countEdges(formatNumber(count))}
          </p>
          {acting.length > 0 && (
            <Suspense>
              <BulkActions edges={acting} onClear={() => setChosen(new Set())} />
            </Suspense>
          )}
          {shown.length === 0 && fleet.isComplete ? (
            <p>{text.nothingFits}</p>
          ) : (
            <EdgeTable
              edges={shown}
              query={query}
              chosen={chosen}
              onChoose={setChosen}
              onSort={(sort) => change({ sort })}
            />
          )}
        </>
      )}
    </Page>
  )
}

/** Those that fit, sorted. Sorting begins with the last order, in which next to nothing has to move. */
const useShown = (edges: ReadonlyMap<string, Edge>, query: EdgeQuery): ReadonlyArray<Edge> => {
  const lastOrder = useRef<ReadonlyArray<string>>([])
  const { label, q, sort, state } = query
  return useMemo(() => {
    const ordered = new Map<string, Edge>()
    for (const id of lastOrder.current) {
      const edge = edges.get(id)
      if (edge !== undefined) ordered.set(id, edge)
    }
    for (const [id, edge] of edges) ordered.set(id, edge)
    const wanted = { label, q, sort, state }
    const shown = Array.from(ordered.values()).filter(fits(wanted)).sort(compare(wanted))
    lastOrder.current = shown.map(({ id }) => id)
    return shown
  }, [edges, label, q, sort, state])
}
