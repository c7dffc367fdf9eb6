import { useQuery } from "@tanstack/react-query"
import { useState } from "react"
import { type AccessToken, call } from "../api/Client.ts"
import { type NewToken, TokensDialog } from "../edges/TokensDialog.tsx"
import { queryClient } from "../session/Session.ts"
import { explain, formatAgo, formatMoment, text } from "../text/Text.ts"
import { FormDialog } from "../ui/Dialog.tsx"
import { tellDone } from "../ui/Notices.tsx"
import { useNow } from "../ui/Now.ts"
import { Page } from "../ui/Page.tsx"
import { NewTokenDialog } from "./NewTokenDialog.tsx"

const queryKey = ["tokens"]

/** A person's access tokens: what each may do, until when, and when it was last used. */
export const TokensPage = () => {
  const now = useNow(10_000)
  const [isMaking, setMaking] = useState(false)
  const [made, setMade] = useState<NewToken>()
  const [revoking, setRevoking] = useState<AccessToken>()
  const asked = useQuery({ queryKey, queryFn: () => call("GET /api/tokens", { query: { limit: "200" } }) })
  const tokens = asked.data?.items ?? []
  const reread = () => queryClient.invalidateQueries({ queryKey })

  return (
    <Page
      title={text.tokens}
      beside={
        <button type="button" onClick={() => setMaking(true)}>
          {text.makeToken}
        </button>
      }
    >
      <p>{text.tokensWhy}</p>
      {asked.isPending && <p className="dim">{text.loading}</p>}
      {asked.isError && <p className="notice failed">{explain(asked.error)}</p>}
      {asked.isSuccess && tokens.length === 0 && <p>{text.noTokens}</p>}
      {tokens.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">{text.tokenName}</th>
              <th scope="col">{text.scopes}</th>
              <th scope="col">{text.reach}</th>
              <th scope="col">{text.expires}</th>
              <th scope="col">{text.lastUsed}</th>
              <td />
            </tr>
          </thead>
          <tbody>
            {tokens.map((token) => (
              <tr key={token.id}>
                <th scope="row">{token.name}</th>
                <td data-label={text.scopes}>{token.scopes.map((scope) => text.scope[scope]).join(", ")}</td>
                <td data-label={text.reach}>{reachOf(token)}</td>
                <td data-label={text.expires}>
                  {Date.parse(token.expiresAt) < now ? text.expired : formatMoment(token.expiresAt)}
                </td>
                <td data-label={text.lastUsed}>
                  {token.lastUsedAt === null
                    ? text.never
                    : `${formatAgo(token.lastUsedAt, now)} (${token.lastUsedFrom ?? text.unknown})`}
                </td>
                <td>
                  <button
                    type="button"
                    className="quiet danger"
                    aria-label={text.revokeNamed(token.name)}
                    onClick={() => setRevoking(token)}
                  >
                    {text.revoke}
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {isMaking && (
        <NewTokenDialog
          onMade={(token) => {
            setMade(token)
            void reread()
          }}
          onClose={() => setMaking(false)}
        />
      )}
      {made !== undefined && <TokensDialog tokens={[made]} onClose={() => setMade(undefined)} />}
      {revoking !== undefined && (
        <FormDialog
          title={text.revokeNamed(revoking.name)}
          submit={text.revoke}
          isDangerous
          onSubmit={async () => {
            await call("DELETE /api/tokens/:id", { params: { id: revoking.id } })
            await reread()
            tellDone(text.revoked(revoking.name))
          }}
          onClose={() => setRevoking(undefined)}
        >
          <p>{text.revokeWhy}</p>
        </FormDialog>
      )}
    </Page>
  )
}

const reachOf = ({ edges }: AccessToken): string =>
  edges === null ? text.allEdges : [...edges.ids, ...edges.labels].join(", ")
