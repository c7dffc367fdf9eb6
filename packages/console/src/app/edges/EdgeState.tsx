import type { Edge } from "../api/Client.ts"
import { useFleet } from "../live/LiveEdges.ts"
import { formatAgo, formatTime, text } from "../text/Text.ts"
import { useNow } from "../ui/Now.ts"

/** Online or not, by a word first and a colour second; since when, where that is known. */
export const EdgeState = ({ edge }: { readonly edge: Edge }) => {
  const now = useNow(30_000)
  const { wentOffline } = useFleet()
  const since = wentOffline.get(edge.id)
  if (edge.contended) {
    return (
      <span className="state contended" title={text.contendedWhy}>
        {text.contended}
      </span>
    )
  }
  if (edge.online) {
    const connected = edge.session?.connectedAt
    return (
      <span className="state online">
        {text.online}
        {connected !== undefined && <span className="dim since"> · {formatAgo(connected, now)}</span>}
      </span>
    )
  }
  return (
    <span className="state">{since === undefined ? text.offline : text.offlineSince(formatTime(since))}</span>
  )
}
