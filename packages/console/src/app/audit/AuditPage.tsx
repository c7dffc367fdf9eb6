import { useInfiniteQuery } from "@tanstack/react-query"
import { useNavigate, useSearch } from "@tanstack/react-router"
import { useState } from "react"
import { call } from "../api/Client.ts"
import { useFleet } from "../live/LiveEdges.ts"
import { collator, explain, formatMoment, formatNumber, text } from "../text/Text.ts"
import { attempt } from "../ui/Notices.tsx"
import { Page } from "../ui/Page.tsx"
import { exportAudit } from "./AuditExport.ts"
import { actions, type AuditQuery, parseAuditQuery, toSentence, useNames } from "./AuditSentence.ts"

/** Who did what, when, from where: newest first. */
export const AuditPage = () => {
  const query: AuditQuery = useSearch({ from: "/audit" })
  const navigate = useNavigate()
  const { edges } = useFleet()
  const names = useNames()
  const [exporting, setExporting] = useState<number>()
  const asked = useInfiniteQuery({
    queryKey: ["audit", query],
    queryFn: ({ pageParam }: { pageParam: string | undefined }) =>
      call("GET /api/audit", {
        query: { ...query, limit: "50", ...(pageParam !== undefined && { cursor: pageParam }) }
      }),
    initialPageParam: undefined,
    getNextPageParam: ({ nextCursor }) => nextCursor ?? undefined
  })
  const entries = asked.data?.pages.flatMap(({ items }) => items) ?? []
  const change = (next: { readonly [name: string]: string | undefined }) =>
    void navigate({ to: "/audit", replace: true, search: parseAuditQuery({ ...query, ...next }) })
  const download = (format: "csv" | "jsonl") =>
    attempt(() => exportAudit(query, format, names, setExporting).finally(() => setExporting(undefined)))

  return (
    <Page title={text.audit}>
      <search className="row filters">
        <select
          aria-label={text.action}
          value={query.action ?? ""}
          onChange={({ target }) => change({ action: target.value })}
        >
          <option value="">{text.anyAction}</option>
          {actions.map((action) => (
            <option key={action} value={action}>
              {text.sentence[action](text.somebody, text.anEdge)}
            </option>
          ))}
        </select>
        <select
          aria-label={text.edge}
          value={query.edgeId ?? ""}
          onChange={({ target }) => change({ edgeId: target.value })}
        >
          <option value="">{text.anyEdge}</option>
          {query.edgeId !== undefined && !edges.has(query.edgeId) && (
            <option value={query.edgeId}>{query.edgeId}</option>
          )}
          {Array.from(edges.values())
            .sort((one, other) => collator.compare(one.name, other.name))
            .map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
        </select>
        <button type="button" className="quiet" onClick={() => void download("csv")}>
          {text.exportCsv}
        </button>
        <button type="button" className="quiet" onClick={() => void download("jsonl")}>
          {text.exportJson}
        </button>
      </search>
      <div role="status">
        {asked.isPending && <p className="dim">{text.loading}</p>}
        {exporting !== undefined && <p>{text.exporting(formatNumber(exporting))}</p>}
      </div>
      {asked.isError && <p className="notice failed">{explain(asked.error)}</p>}
      {asked.isSuccess && entries.length === 0 && <p>{text.nothingAudited}</p>}
      {entries.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">{text.when}</th>
              <th scope="col">{text.what}</th>
              <th scope="col">{text.from}</th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) => (
              <tr key={entry.id}>
                <td data-label={text.when}>
                  <time dateTime={entry.at}>{formatMoment(entry.at)}</time>
                </td>
                <td data-label={text.what}>
                  {toSentence(entry, names)}
                  {entry.outcome === "failure" && <span className="label bad">{text.failed}</span>}
                  {entry.detail !== null && <span className="dim"> ({entry.detail})</span>}
                </td>
                <td data-label={text.from}>{entry.address ?? ""}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {asked.hasNextPage && (
        <p>
          <button
            type="button"
            className="quiet"
            disabled={asked.isFetchingNextPage}
            onClick={() => void asked.fetchNextPage()}
          >
            {text.more}
          </button>
        </p>
      )}
    </Page>
  )
}
