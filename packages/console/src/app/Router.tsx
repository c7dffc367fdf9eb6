import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Link,
  redirect
} from "@tanstack/react-router"
import { parseAuditQuery } from "./audit/AuditSentence.ts"
import { parseQuery } from "./edges/EdgeQuery.ts"
import { EdgesPage } from "./edges/EdgesPage.tsx"
import { Shell } from "./Shell.tsx"
import { text } from "./text/Text.ts"
import { Page } from "./ui/Page.tsx"

/** Every address of the console; the server has the same list (`server-api/src/http/Routes.ts`). */

const Broken = () => (
  <Page title={text.broken}>
    <p>{text.brokenWhy}</p>
    <button type="button" onClick={() => location.reload()}>
      {text.retry}
    </button>
  </Page>
)

const NotFound = () => (
  <Page title={text.notFound}>
    <p>{text.notFoundWhy}</p>
    <Link to="/">{text.back}</Link>
  </Page>
)

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: Broken })

const routes = [
  createRoute({ getParentRoute: () => root, path: "/", validateSearch: parseQuery, component: EdgesPage }),
  createRoute({
    getParentRoute: () => root,
    path: "/edges",
    beforeLoad: () => {
      throw redirect({ to: "/", replace: true })
    }
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/edges/$edgeId",
    component: lazyRouteComponent(() => import("./edge/EdgePage.tsx"), "EdgePage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/pair",
    validateSearch: ({ code }: { readonly [name: string]: unknown }): { readonly code?: string } =>
      typeof code === "string" && code !== "" ? { code } : {},
    component: lazyRouteComponent(() => import("./pair/PairPage.tsx"), "PairPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/terminal",
    validateSearch: ({ code }: { readonly [name: string]: unknown }): { readonly code?: string } =>
      typeof code === "string" && code !== "" ? { code } : {},
    component: lazyRouteComponent(() => import("./terminal/TerminalPage.tsx"), "TerminalPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/audit",
    validateSearch: parseAuditQuery,
    component: lazyRouteComponent(() => import("./audit/AuditPage.tsx"), "AuditPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/sign-ins",
    component: lazyRouteComponent(() => import("./sign-ins/SignInsPage.tsx"), "SignInsPage")
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/tokens",
    component: lazyRouteComponent(() => import("./tokens/TokensPage.tsx"), "TokensPage")
  })
] as const

export const router = createRouter({
  routeTree: root.addChildren(routes),
  defaultPreload: "intent",
  // Plain text, as people and other programs write addresses: not JSON, which the router has by default.
  parseSearch: (search) => Object.fromEntries(new URLSearchParams(search)),
  stringifySearch: (search: { readonly [name: string]: unknown }) => {
    const pairs = Object.entries(search).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)]]
    )
    return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs)}`
  }
})

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router
  }
}
