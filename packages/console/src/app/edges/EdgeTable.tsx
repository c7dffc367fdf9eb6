import { Link } from "@tanstack/react-router"
import { defaultRangeExtractor, useWindowVirtualizer } from "@tanstack/react-virtual"
import { useLayoutEffect, useRef, useState } from "react"
import type { Edge } from "../api/Client.ts"
import { formatMillis, formatNumber, text } from "../text/Text.ts"
import { type EdgeQuery, type SortColumn, sortColumns, sortOf } from "./EdgeQuery.ts"
import { EdgeState } from "./EdgeState.tsx"
import { useFigures } from "./Figures.ts"
import { OpenLink } from "./OpenLink.tsx"

const columns = ["name", "state", "labels", "agent", "roundTrip", "streams", "open"] as const

/**
 * The list, of which only what is on the screen is in the document: tables of the browser's cannot do that, hence roles.
 * The row that has the focus stays where it is in the document, however far one scrolls.
 */
export const EdgeTable = (props: {
  readonly edges: ReadonlyArray<Edge>
  readonly query: EdgeQuery
  readonly chosen: ReadonlySet<string>
  readonly onChoose: (chosen: ReadonlySet<string>) => void
  readonly onSort: (sort: string) => void
}) => {
  const { chosen, edges, onChoose } = props
  const body = useRef<HTMLDivElement>(null)
  const [focused, setFocused] = useState<string>()
  const [offset, setOffset] = useState(0)
  // What stands above the list comes and goes.
  useLayoutEffect(() => setOffset(body.current?.offsetTop ?? 0))

  const focusedIndex = focused === undefined ? -1 : edges.findIndex(({ id }) => id === focused)
  const rows = useWindowVirtualizer({
    count: edges.length,
    estimateSize: () => 49,
    overscan: 8,
    scrollMargin: offset,
    getItemKey: (index) => edges[index]?.id ?? index,
    rangeExtractor: (range) => {
      const shown = defaultRangeExtractor(range)
      return focusedIndex < 0 || shown.includes(focusedIndex)
        ? shown
        : [...shown, focusedIndex].sort((one, other) => one - other)
    }
  })
  const items = rows.getVirtualItems()
  useFigures(items.flatMap(({ index }) => edges[index] ?? []))

  const choose = (id: string, isChosen: boolean) => {
    const next = new Set(chosen)
    if (isChosen) next.add(id)
    else next.delete(id)
    onChoose(next)
  }
  const areAllChosen = edges.length > 0 && edges.every(({ id }) => chosen.has(id))

  return (
    <div className="table" role="table" aria-label={text.edges} aria-rowcount={edges.length + 1}>
      <div role="rowgroup">
        <div className="tr head" role="row" aria-rowindex={1}>
          <span role="columnheader" className="choose">
            <input
              type="checkbox"
              aria-label={text.selectAll}
              checked={areAllChosen}
              onChange={() => onChoose(areAllChosen ? new Set() : new Set(edges.map(({ id }) => id)))}
            />
          </span>
          {columns.map((column) => {
            const sortable = sortColumns.find((one) => one === column)
            return sortable === undefined ? (
              <span key={column} role="columnheader" className={cellClass(column)}>
                {text.column[column]}
              </span>
            ) : (
              <SortHeader key={column} column={sortable} query={props.query} onSort={props.onSort} />
            )
          })}
        </div>
      </div>
      <div
        role="rowgroup"
        ref={body}
        className="tbody"
        style={{ height: rows.getTotalSize() }}
        onFocus={({ target }) =>
          setFocused(target.closest<HTMLElement>("[data-edge]")?.dataset["edge"] ?? undefined)
        }
        onBlur={() => setFocused(undefined)}
      >
        {items.map(({ index, key, start }) => {
          const edge = edges[index]
          return (
            edge !== undefined && (
              <div
                key={key}
                ref={rows.measureElement}
                data-index={index}
                data-edge={edge.id}
                className="tr"
                role="row"
                aria-rowindex={index + 2}
                style={{ transform: `translateY(${start - offset}px)` }}
              >
                <Cells edge={edge} isChosen={chosen.has(edge.id)} onChoose={choose} />
              </div>
            )
          )
        })}
      </div>
    </div>
  )
}

/** `state` alone is the dot before a state. */
const cellClass = (column: (typeof columns)[number]) => (column === "state" ? "state-cell" : column)

const SortHeader = (props: {
  readonly column: SortColumn
  readonly query: EdgeQuery
  readonly onSort: (sort: string) => void
}) => {
  const { column } = props
  const sort = sortOf(props.query)
  const isSorted = sort.column === column
  return (
    <span
      role="columnheader"
      className={cellClass(column)}
      aria-sort={isSorted ? (sort.isDown ? "descending" : "ascending") : "none"}
    >
      <button
        type="button"
        className="sort"
        onClick={() => props.onSort(isSorted && !sort.isDown ? `-${column}` : column)}
      >
        {text.column[column]}
        <span aria-hidden>{isSorted ? (sort.isDown ? " ↓" : " ↑") : ""}</span>
      </button>
    </span>
  )
}

const Cells = ({
  edge,
  isChosen,
  onChoose
}: {
  readonly edge: Edge
  readonly isChosen: boolean
  readonly onChoose: (id: string, isChosen: boolean) => void
}) => {
  const { session } = edge
  const trip = session?.roundTripMillis ?? null
  return (
    <>
      <span role="cell" className="choose">
        <input
          type="checkbox"
          aria-label={text.select(edge.name)}
          checked={isChosen}
          onChange={({ target }) => onChoose(edge.id, target.checked)}
        />
      </span>
      <span role="cell" className="name">
        <Link to="/edges/$edgeId" params={{ edgeId: edge.id }}>
          {edge.name}
        </Link>
      </span>
      <span role="cell" className="state-cell">
        <EdgeState edge={edge} />
      </span>
      <span role="cell" className="labels">
        {edge.labels.map((label) => (
          <span key={label} className="label">
            {label}
          </span>
        ))}
      </span>
      <span role="cell" className="agent dim">
        {session?.agent ?? ""}
      </span>
      <span role="cell" className="roundTrip" data-label={text.column.roundTrip}>
        {trip === null ? "" : formatMillis(trip)}
      </span>
      <span role="cell" className="streams" data-label={text.column.streams}>
        {session === null ? "" : formatNumber(session.streams)}
      </span>
      <span role="cell" className="open">
        {edge.online && <OpenLink edge={edge} />}
      </span>
    </>
  )
}
