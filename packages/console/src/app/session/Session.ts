import { QueryClient, queryOptions } from "@tanstack/react-query"
import { call, type Me, onSignedOut } from "../api/Client.ts"
import { Problem } from "../api/Problem.ts"

/** What the console has asked, for as long as the page is open. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      // A problem that the server answered does not go away by asking twice; a lost connection may.
      retry: (count, error) => count < 2 && error instanceof Problem && error.status === 0,
      staleTime: 5_000
    }
  }
})

/** Who is signed in; null: nobody. `false` does not extend the session: a page that lies open is no use of it. */
export const me = queryOptions<Me | null>({
  queryKey: ["me"],
  queryFn: () =>
    call("GET /api/auth/me").catch((error: unknown) => {
      if (error instanceof Problem && error.status === 401) return null
      throw error
    }),
  staleTime: Number.POSITIVE_INFINITY
})

/** A request found out that the session has ended: the page says so, and keeps its address. */
onSignedOut(() => {
  if (queryClient.getQueryData(me.queryKey) === null) return
  queryClient.setQueryData(me.queryKey, null)
})

/** Leads back to where the person is now. */
export const signInHref = (): string =>
  `/api/auth/login?returnTo=${encodeURIComponent(location.pathname + location.search)}`

export const signOut = async (): Promise<void> => {
  const { logoutUrl } = await call("POST /api/auth/logout")
  location.assign(logoutUrl ?? "/")
}
