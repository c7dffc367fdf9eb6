import { type AuditEvent, call } from "../api/Client.ts"
import { type AuditQuery, type Names, toSentence } from "./AuditSentence.ts"

const columns = [
  "at",
  "action",
  "outcome",
  "actor",
  "edgeId",
  "address",
  "requestId",
  "detail",
  "id"
] as const

/** Everything that fits, page by page, as a file that the browser saves. `onProgress` hears how much has come. */
export const exportAudit = async (
  query: AuditQuery,
  format: "csv" | "jsonl",
  names: Names,
  onProgress: (entries: number) => void
): Promise<void> => {
  const entries: Array<AuditEvent> = []
  let cursor: string | null = null
  do {
    const page: { readonly items: ReadonlyArray<AuditEvent>; readonly nextCursor: string | null } =
      await call("GET /api/audit", { query: { ...query, limit: "200", ...(cursor !== null && { cursor }) } })
    entries.push(...page.items)
    cursor = page.nextCursor
    onProgress(entries.length)
  } while (cursor !== null)
  const body = format === "csv" ? toCsv(entries, names) : toJsonLines(entries)
  save(body, `audit.${format}`, format === "csv" ? "text/csv" : "application/jsonl")
}

export const toJsonLines = (entries: ReadonlyArray<AuditEvent>): string =>
  entries.map((entry) => `${JSON.stringify(entry)}\n`).join("")

/** RFC 4180, with the sentence that the page shows as the last column. */
export const toCsv = (entries: ReadonlyArray<AuditEvent>, names: Names): string =>
  [
    [...columns, "sentence"],
    ...entries.map((entry) => [...columns.map((name) => entry[name] ?? ""), toSentence(entry, names)])
  ]
    .map((row) => `${row.map(field).join(",")}\r\n`)
    .join("")

/** Quoted where it has to be; and never a formula to a spreadsheet, which names of machines could else write. */
const field = (value: string): string => {
  const plain = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}

const save = (body: string, name: string, type: string): void => {
  const href = URL.createObjectURL(new Blob([body], { type }))
  const link = document.createElement("a")
  link.href = href
  link.download = name
  link.click()
  URL.revokeObjectURL(href)
}
