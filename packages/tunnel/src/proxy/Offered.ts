import type { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import { DEFAULT_SERVICE, type OfferedServices } from "@edge-relay/protocol/TunnelProtocol"

/** What an agent offers that has not said so. */
export const defaultServices: OfferedServices = [{ name: DEFAULT_SERVICE }]

/** As a tunnel's summary has it. */
export const offeredBy = (services: OfferedServices): Pick<SessionSummary, "services" | "localServers"> => {
  const known = services.flatMap(({ local, name }) => (local === undefined ? [] : [[name, local] as const]))
  return {
    services: services.map(({ name }) => name),
    ...(known.length === 0 ? {} : { localServers: Object.fromEntries(known) })
  }
}
