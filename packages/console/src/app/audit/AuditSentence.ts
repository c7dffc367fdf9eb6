import { useQuery } from "@tanstack/react-query"
import type { AuditEvent, Input } from "../api/Client.ts"
import { useFleet } from "../live/LiveEdges.ts"
import { me } from "../session/Session.ts"
import { text } from "../text/Text.ts"

/** What of the log is shown, as the address has it. */
export type AuditQuery = Pick<NonNullable<Input<"GET /api/audit">["query"]>, "action" | "edgeId">
type Action = NonNullable<AuditQuery["action"]>

/** All of them, in the order of the catalogue, which has to have each. */
export const actions = (Object.keys(text.sentence) as ReadonlyArray<AuditEvent["action"]>).filter(
  (action): action is Action => action !== "unknown"
)

export const parseAuditQuery = (search: { readonly [name: string]: unknown }): AuditQuery => {
  const action = actions.find((one) => one === search["action"])
  const edgeId = search["edgeId"]
  return {
    ...(action !== undefined && { action }),
    ...(typeof edgeId === "string" && edgeId !== "" && { edgeId })
  }
}

/** What is called how: the log has ids. */
export type Names = (id: string) => string | undefined

export const useNames = (): Names => {
  const { edges } = useFleet()
  const user = useQuery(me).data?.user
  return (id) => (id === user?.id ? text.you : edges.get(id)?.name)
}

export const toSentence = ({ action, actor, edgeId }: AuditEvent, names: Names): string => {
  const who = actor === null ? text.somebody : (names(actor) ?? text.someone(actor))
  const edge = edgeId === null ? text.anEdge : (names(edgeId) ?? edgeId)
  return text.sentence[action](actor === edgeId ? edge : who, edge)
}
