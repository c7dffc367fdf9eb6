import { useQuery } from "@tanstack/react-query"
import { Link } from "@tanstack/react-router"
import { call } from "../api/Client.ts"
import { MachineRequest, useDecision } from "../requests/MachineRequest.tsx"
import { text } from "../text/Text.ts"

/** Pairing begun at the edge: its verification address is `/pair?code=WXYZ-2345` (RFC 8628 §3.3.1). */
export const RequestPanel = ({ userCode }: { readonly userCode: string }) => {
  const params = { userCode }
  const { decide, decision } = useDecision((verb) =>
    call(`POST /api/pairing/requests/:userCode/${verb}`, { params })
  )
  const asked = useQuery({
    queryKey: ["pairing-request", userCode],
    queryFn: () => call("GET /api/pairing/requests/:userCode", { params }),
    enabled: decision === undefined
  })
  return (
    <MachineRequest
      title={text.requestTitle}
      why={text.requestWhy}
      decided={{ approve: text.approved, deny: text.denied }}
      asked={asked}
      decision={decision}
      onDecide={(verb) => void decide(verb)}
      gone={
        <Link to="/pair" className="button quiet">
          {text.machineCode}
        </Link>
      }
    />
  )
}
