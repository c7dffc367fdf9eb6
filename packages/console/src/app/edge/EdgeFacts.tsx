import type { Edge } from "../api/Client.ts"
import { formatAgo, formatBytes, formatMillis, formatMoment, formatNumber, text } from "../text/Text.ts"
import { useNow } from "../ui/Now.ts"

/** What the proxy says of the edge's tunnel, and what is known without one. */
export const EdgeFacts = ({ edge }: { readonly edge: Edge }) => {
  const now = useNow(5_000)
  const { session } = edge
  const facts: Array<readonly [keyof typeof text.fact, string]> = []
  if (session !== null) {
    facts.push(
      ["host", session.hostname ?? text.unknown],
      ["address", session.remoteAddress ?? text.unknown],
      ["agent", session.agent ?? text.unknown],
      ["connected", formatMoment(session.connectedAt)],
      ["heartbeat", formatAgo(session.lastHeartbeatAt, now)],
      ["roundTrip", session.roundTripMillis === null ? text.unknown : formatMillis(session.roundTripMillis)],
      ["streams", formatNumber(session.streams)],
      ["bytesIn", formatBytes(session.bytesIn)],
      ["bytesOut", formatBytes(session.bytesOut)],
      ["protocol", session.protocol],
      ["proxy", session.proxyId]
    )
  }
  facts.push(["created", formatMoment(edge.createdAt)], ["id", edge.id])
  return (
    <section aria-labelledby="facts">
      <h2 id="facts">{text.facts}</h2>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{text.fact[name]}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}
