import { useQuery } from "@tanstack/react-query"
import { call, type SignIn } from "../api/Client.ts"
import { queryClient } from "../session/Session.ts"
import { explain, formatAgo, formatMoment, text } from "../text/Text.ts"
import { attempt, tellDone } from "../ui/Notices.tsx"
import { useNow } from "../ui/Now.ts"
import { Page } from "../ui/Page.tsx"
import { nameOfProgram } from "./UserAgent.ts"

const nameOf = ({ kind, userAgent }: SignIn): string =>
  kind === "terminal" ? text.terminalNamed(userAgent ?? text.unknown) : nameOfProgram(userAgent)

const queryKey = ["sign-ins"]

export const SignInsPage = () => {
  const now = useNow(10_000)
  const asked = useQuery({ queryKey, queryFn: () => call("GET /api/auth/sessions"), refetchInterval: 15_000 })
  const signIns = asked.data?.items ?? []
  const change = (act: () => Promise<void>, done: string) =>
    attempt(async () => {
      await act()
      await queryClient.invalidateQueries({ queryKey })
      tellDone(done)
    })
  const end = ({ id }: SignIn) =>
    change(() => call("DELETE /api/auth/sessions/:id", { params: { id } }), text.ended)

  return (
    <Page
      title={text.signIns}
      beside={
        signIns.some(({ current }) => !current) && (
          <button
            type="button"
            className="quiet danger"
            onClick={() => void change(() => call("DELETE /api/auth/sessions"), text.endedOthers)}
          >
            {text.endOthers}
          </button>
        )
      }
    >
      <p>{text.signInsWhy}</p>
      {asked.isPending && <p className="dim">{text.loading}</p>}
      {asked.isError && <p className="notice failed">{explain(asked.error)}</p>}
      {signIns.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">{text.program}</th>
              <th scope="col">{text.address}</th>
              <th scope="col">{text.since}</th>
              <th scope="col">{text.lastSeen}</th>
              <td />
            </tr>
          </thead>
          <tbody>
            {signIns.map((one) => (
              <tr key={one.id}>
                <th scope="row" title={one.userAgent ?? ""}>
                  {nameOf(one)}
                </th>
                <td data-label={text.address}>{one.address ?? text.unknown}</td>
                <td data-label={text.since}>{formatMoment(one.createdAt)}</td>
                <td data-label={text.lastSeen}>{one.current ? text.now : formatAgo(one.lastSeenAt, now)}</td>
                <td>
                  {one.current ? (
                    <span className="label">{text.thisOne}</span>
                  ) : (
                    <button
                      type="button"
                      className="quiet"
                      aria-label={text.endNamed(nameOf(one))}
                      onClick={() => void end(one)}
                    >
                      {text.end}
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Page>
  )
}
