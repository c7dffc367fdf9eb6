import * as Menu from "@radix-ui/react-dropdown-menu"
import { useQuery } from "@tanstack/react-query"
import { Link, Outlet, useLocation } from "@tanstack/react-router"
import { useEffect, useRef } from "react"
import type { Me } from "./api/Client.ts"
import { liveEdges, useFleet } from "./live/LiveEdges.ts"
import { useMay } from "./session/May.ts"
import { me, queryClient, signOut } from "./session/Session.ts"
import { SignedOut } from "./session/SignedOut.tsx"
import { explain, text } from "./text/Text.ts"
import { attempt, clearNotices, Notices } from "./ui/Notices.tsx"

/** What stands around every page; who is not signed in sees what this is instead. */
export const Shell = () => {
  const asked = useQuery(me)
  const wasSignedIn = useRef(false)
  if (asked.data != null) wasSignedIn.current = true
  if (asked.data === null) return <SignedOut hasEnded={wasSignedIn.current} />
  if (asked.isError) {
    return (
      <main className="alone">
        <h1>{text.name}</h1>
        <p className="notice failed">{explain(asked.error)}</p>
        <button type="button" onClick={() => void queryClient.invalidateQueries({ queryKey: me.queryKey })}>
          {text.retry}
        </button>
      </main>
    )
  }
  if (asked.data === undefined) return <main className="alone dim">{text.loading}</main>
  return <SignedIn me={asked.data} />
}

const SignedIn = (props: { readonly me: Me }) => {
  const { pathname } = useLocation()
  const main = useRef<HTMLElement>(null)
  const isFirst = useRef(true)
  const isAdmin = useMay("admin")
  useEffect(() => {
    liveEdges.start()
    return () => liveEdges.stop()
  }, [])
  // Another page: what was said on the last one is over, and reading begins at its top.
  useEffect(() => {
    if (isFirst.current) {
      isFirst.current = false
      return
    }
    clearNotices()
    main.current?.focus({ preventScroll: true })
  }, [pathname])
  return (
    <>
      <a className="skip" href="#main">
        {text.skip}
      </a>
      <header>
        <Link to="/" className="brand">
          {text.name}
        </Link>
        <nav aria-label={text.nav}>
          <Link to="/" activeOptions={{ exact: true, includeSearch: false }}>
            {text.edges}
          </Link>
          {isAdmin && (
            <Link to="/audit" activeOptions={{ includeSearch: false }}>
              {text.audit}
            </Link>
          )}
          <Link to="/sign-ins">{text.signIns}</Link>
          <Link to="/tokens">{text.tokens}</Link>
        </nav>
        <Connection />
        <Account me={props.me} />
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Notices />
        <Outlet />
      </main>
    </>
  )
}

const Connection = () => {
  const { connection } = useFleet()
  return (
    <span className={`connection ${connection}`} role="status">
      {text[connection]}
    </span>
  )
}

const Account = ({ me: { user } }: { readonly me: Me }) => {
  const name = user.name ?? user.email ?? user.subject
  return (
    // Modal menus lock scrolling by a style element, which our policy does not allow.
    <Menu.Root modal={false}>
      <Menu.Trigger className="quiet account" aria-label={text.account(name)}>
        {name}
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content className="menu" align="end" sideOffset={4}>
          <Menu.Item asChild>
            <a className="menu-item" href="/docs">
              {text.apiDocs}
            </a>
          </Menu.Item>
          <Menu.Item className="menu-item" onSelect={() => void attempt(signOut)}>
            {text.signOut}
          </Menu.Item>
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  )
}
