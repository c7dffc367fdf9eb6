import type { Edge } from "../api/Client.ts"
import { collator } from "../text/Text.ts"

/** What of the list is shown, as the address has it: `/?q=hall&label=site:north,gpu&state=offline&sort=-streams`. */
export interface EdgeQuery {
  readonly q?: string | undefined
  /** Labels that an edge has to have, all of them, with commas between: a label has none in it. */
  readonly label?: string | undefined
  readonly state?: EdgeStateFilter | undefined
  /** A column; with `-` before it, downwards. By name where it is left out. */
  readonly sort?: string | undefined
}

export const stateFilters = ["online", "offline", "contended"] as const
export type EdgeStateFilter = (typeof stateFilters)[number]

export const sortColumns = ["name", "state", "agent", "roundTrip", "streams"] as const
export type SortColumn = (typeof sortColumns)[number]

export const parseQuery = (search: { readonly [name: string]: unknown }): EdgeQuery => {
  const own = (name: string) => {
    const value = search[name]
    return typeof value === "string" && value !== "" ? value : undefined
  }
  return {
    q: own("q"),
    label: own("label"),
    state: stateFilters.find((one) => one === search["state"]),
    sort: own("sort")
  }
}

export const labelsOf = ({ label }: EdgeQuery): ReadonlyArray<string> => label?.split(",") ?? []

export const sortOf = ({
  sort = "name"
}: EdgeQuery): { readonly column: SortColumn; readonly isDown: boolean } => {
  const isDown = sort.startsWith("-")
  return { column: sortColumns.find((one) => one === sort.slice(isDown ? 1 : 0)) ?? "name", isDown }
}

export const isFiltered = ({ label, q, state }: EdgeQuery): boolean =>
  q !== undefined || label !== undefined || state !== undefined

export const fits = (query: EdgeQuery): ((edge: Edge) => boolean) => {
  const wanted = query.q?.toLowerCase()
  const labels = labelsOf(query)
  return (edge) =>
    (wanted === undefined ||
      // Every id begins with "edge": part of one is no answer to that word.
      edge.id === wanted ||
      [edge.name, edge.session?.hostname, edge.session?.remoteAddress].some(
        (one) => one?.toLowerCase().includes(wanted) === true
      )) &&
    labels.every((label) => edge.labels.includes(label)) &&
    (query.state === undefined || stateOf(edge) === query.state)
}

const stateOf = (edge: Edge): EdgeStateFilter =>
  edge.contended ? "contended" : edge.online ? "online" : "offline"

/** Equal ones by name, then by age: nothing that stays the same moves. */
export const compare = (query: EdgeQuery): ((one: Edge, other: Edge) => number) => {
  const { column, isDown } = sortOf(query)
  const by = comparisons[column]
  return (one, other) =>
    (isDown ? -by(one, other) : by(one, other)) || byName(one, other) || (one.id < other.id ? -1 : 1)
}

const byName = (one: Edge, other: Edge): number => collator.compare(one.name, other.name)

const stateOrder = { contended: 0, online: 1, offline: 2 }

const comparisons: { readonly [C in SortColumn]: (one: Edge, other: Edge) => number } = {
  name: byName,
  state: (one, other) => stateOrder[stateOf(one)] - stateOrder[stateOf(other)],
  agent: (one, other) => collator.compare(one.session?.agent ?? "", other.session?.agent ?? ""),
  // Who has none comes last.
  roundTrip: (one, other) => trip(one) - trip(other),
  streams: (one, other) => (one.session?.streams ?? 0) - (other.session?.streams ?? 0)
}

const trip = ({ session }: Edge): number => session?.roundTripMillis ?? Number.MAX_VALUE
