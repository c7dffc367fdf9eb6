import * as Menu from "@radix-ui/react-dropdown-menu"
import { useMemo, useState } from "react"
import type { Edge } from "../api/Client.ts"
import { collator, formatNumber, text } from "../text/Text.ts"
import { type EdgeQuery, isFiltered, labelsOf, stateFilters } from "./EdgeQuery.ts"

export const EdgeFilters = (props: {
  readonly query: EdgeQuery
  readonly edges: ReadonlyMap<string, Edge>
  readonly onChange: (next: Partial<EdgeQuery>) => void
}) => {
  const { edges, onChange, query } = props
  const labels = useMemo(() => {
    const all = new Set(labelsOf(query))
    for (const edge of edges.values()) for (const label of edge.labels) all.add(label)
    return Array.from(all).sort(collator.compare)
  }, [edges, query])
  return (
    <search className="row filters">
      <SearchField value={query.q ?? ""} onChange={(q) => onChange({ q: q === "" ? undefined : q })} />
      <select
        aria-label={text.state}
        value={query.state ?? ""}
        onChange={({ target }) => onChange({ state: stateFilters.find((one) => one === target.value) })}
      >
        <option value="">{text.anyState}</option>
        {stateFilters.map((state) => (
          <option key={state} value={state}>
            {text[state]}
          </option>
        ))}
      </select>
      {labels.length > 0 && <LabelMenu labels={labels} query={query} onChange={onChange} />}
      {isFiltered(query) && (
        <button
          type="button"
          className="quiet"
          onClick={() => onChange({ q: undefined, label: undefined, state: undefined })}
        >
          {text.clearFilters}
        </button>
      )}
    </search>
  )
}

/** Has what is typed at once: the address follows, and a field that waited for it would lose letters. */
const SearchField = (props: { readonly value: string; readonly onChange: (value: string) => void }) => {
  const [typed, setTyped] = useState(props.value)
  const [sent, setSent] = useState(props.value)
  if (props.value !== sent) {
    // The address changed by itself: back, or cleared.
    setSent(props.value)
    if (props.value.trim() !== typed.trim()) setTyped(props.value)
  }
  return (
    <input
      type="search"
      aria-label={text.search}
      placeholder={text.search}
      value={typed}
      onChange={({ target }) => {
        setTyped(target.value)
        props.onChange(target.value.trim())
      }}
    />
  )
}

const LabelMenu = (props: {
  readonly labels: ReadonlyArray<string>
  readonly query: EdgeQuery
  readonly onChange: (next: Partial<EdgeQuery>) => void
}) => {
  const chosen = labelsOf(props.query)
  const choose = (label: string, isChosen: boolean) => {
    const next = isChosen ? [...chosen, label] : chosen.filter((one) => one !== label)
    props.onChange({ label: next.length === 0 ? undefined : next.join(",") })
  }
  return (
    // Modal menus lock scrolling by a style element, which our policy does not allow.
    <Menu.Root modal={false}>
      <Menu.Trigger className="quiet">
        {chosen.length === 0 ? text.anyLabel : text.labelsChosen(formatNumber(chosen.length))}
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content className="menu" align="start" sideOffset={4}>
          {props.labels.map((label) => (
            <Menu.CheckboxItem
              key={label}
              className="menu-item"
              checked={chosen.includes(label)}
              onCheckedChange={(isChosen) => choose(label, isChosen)}
              onSelect={(event) => event.preventDefault()}
            >
              <span className="tick" aria-hidden>
                {chosen.includes(label) ? "✓" : ""}
              </span>
              {label}
            </Menu.CheckboxItem>
          ))}
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  )
}
