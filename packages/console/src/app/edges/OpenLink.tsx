import type { Edge } from "../api/Client.ts"
import { text } from "../text/Text.ts"

/** Opens what the edge serves, on its own host where it has one. */
export const OpenLink = ({ edge, label }: { readonly edge: Edge; readonly label?: string }) => (
  <a
    className="button quiet"
    href={edge.url ?? `/api/edges/${edge.id}/http/`}
    target="_blank"
    rel="noopener"
    aria-label={text.openNamed(label ?? edge.name)}
    title={text.opensNew}
  >
    {text.open}
  </a>
)
