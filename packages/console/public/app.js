// The console: everything it shows and does goes through the HTTP contract, with the session's cookie alone.

/** @typedef {{ id: string, name: string, url: string | null, online: boolean, contended: boolean, session: null | { hostname: string | null, roundTripMillis: number | null } }} Edge */

const byId = (id) => document.getElementById(id)

/** @type {Map<string, Edge>} */
const edges = new Map()
let nextCursor = null

/** An answer that is not 2xx, as the problem that it carries (RFC 9457). */
class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.title ?? `The server answered ${status}.`)
    this.status = status
    this.code = body?.code
  }
}

const call = async (method, path, body) => {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  if (response.status === 401) {
    signIn()
    throw new Problem(401, { title: "Your session has ended." })
  }
  const text = await response.text()
  const json = text === "" ? undefined : JSON.parse(text)
  if (!response.ok) throw new Problem(response.status, json)
  return json
}

const signIn = () => {
  const here = location.pathname + location.search
  location.assign(`/api/auth/login?returnTo=${encodeURIComponent(here)}`)
}

const notice = (message) => {
  byId("notice").textContent = message
  byId("notice").hidden = message === ""
}

/** Runs what a person asked for; a failure is shown, never lost. */
const attempt = (action) => async (event) => {
  event?.preventDefault()
  notice("")
  try {
    await action(event)
  } catch (error) {
    notice(error instanceof Problem ? error.message : "The server could not be reached. Try again.")
  }
}

const button = (label, action) => {
  const element = document.createElement("button")
  element.type = "button"
  element.className = "quiet"
  element.textContent = label
  element.addEventListener("click", attempt(action))
  return element
}

const cell = (...content) => {
  const element = document.createElement("td")
  element.append(...content)
  return element
}

const state = (edge) => {
  const element = document.createElement("span")
  element.className = edge.contended ? "contended" : edge.online ? "online" : ""
  element.textContent = edge.contended ? "two machines hold its token" : edge.online ? "online" : "offline"
  return element
}

const row = (edge) => {
  const name = edge.online ? document.createElement("a") : document.createElement("span")
  name.textContent = edge.name
  if (edge.online) {
    name.href = edge.url ?? `/api/edges/${edge.id}/http/`
    name.target = "_blank"
    name.rel = "noopener"
    name.title = "Open its local server"
  }
  const actions = document.createElement("div")
  actions.className = "row"
  actions.append(
    button("Rename", async () => {
      const chosen = prompt("New name", edge.name)?.trim()
      if (chosen) show(await call("PATCH", `/api/edges/${edge.id}`, { name: chosen }))
    }),
    button("Remove", async () => {
      if (!confirm(`Remove ${edge.name}? Its token is revoked at once.`)) return
      await call("DELETE", `/api/edges/${edge.id}`)
      hide(edge.id)
    })
  )
  const element = document.createElement("tr")
  element.id = edge.id
  const trip = edge.session?.roundTripMillis
  element.append(
    cell(name),
    cell(state(edge)),
    cell(edge.session?.hostname ?? ""),
    cell(trip === null || trip === undefined ? "" : `${trip.toFixed(1)} ms`),
    cell(actions)
  )
  return element
}

const show = (edge) => {
  edges.set(edge.id, edge)
  const present = byId(edge.id)
  if (present === null) byId("edges").prepend(row(edge))
  else present.replaceWith(row(edge))
  byId("empty").hidden = true
}

const hide = (edgeId) => {
  edges.delete(edgeId)
  byId(edgeId)?.remove()
  byId("empty").hidden = edges.size > 0
}

const loadPage = async () => {
  const page = await call(
    "GET",
    `/api/edges?limit=100${nextCursor === null ? "" : `&cursor=${encodeURIComponent(nextCursor)}`}`
  )
  for (const edge of page.items) {
    edges.set(edge.id, edge)
    byId(edge.id)?.remove()
    byId("edges").append(row(edge))
  }
  nextCursor = page.nextCursor
  byId("more").hidden = nextCursor === null
  byId("empty").hidden = edges.size > 0
}

const follow = () => {
  const source = new EventSource("/api/edges/events")
  source.addEventListener("open", () => {
    byId("live").textContent = "live"
  })
  source.addEventListener("error", () => {
    byId("live").textContent = "reconnecting"
    // The browser gives up on an answer that is not an event stream: the session may have ended.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(
        attempt(async () => {
          await call("GET", "/api/auth/me?slide=false")
          follow()
        }),
        2_000
      )
    }
  })
  for (const type of ["edge.online", "edge.offline", "edge.updated", "edge.contended"]) {
    source.addEventListener(type, (event) => {
      const { edge } = JSON.parse(event.data)
      if (edge !== null) show(edge)
    })
  }
  source.addEventListener("edge.removed", (event) => hide(JSON.parse(event.data).edgeId))
}

let countdown
const showCode = (made) => {
  byId("code-panel").hidden = false
  byId("command").textContent = made.command
  byId("code").textContent = made.code
  clearInterval(countdown)
  const tick = () => {
    const seconds = Math.max(0, Math.round((Date.parse(made.expiresAt) - Date.now()) / 1_000))
    byId("code-left").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`
    if (seconds === 0) {
      clearInterval(countdown)
      byId("code-panel").hidden = true
    }
  }
  countdown = setInterval(tick, 1_000)
  tick()
}

/** Pairing begun at the edge: its verification address is `/pair?code=WXYZ-2345` (RFC 8628 §3.3.1). */
const showRequest = async () => {
  const userCode = new URLSearchParams(location.search).get("code")
  if (location.pathname !== "/pair" || userCode === null) return
  const path = `/api/pairing/requests/${encodeURIComponent(userCode)}`
  const asked = await call("GET", path)
  byId("request").hidden = false
  byId("request-host").textContent =
    asked.name === null ? asked.hostname : `${asked.name} (${asked.hostname})`
  byId("request-code").textContent = asked.userCode
  const answer = (verb) =>
    attempt(async () => {
      await call("POST", `${path}/${verb}`)
      byId("request").hidden = true
      history.replaceState(null, "", "/")
    })
  byId("approve").addEventListener("click", answer("approve"))
  byId("deny").addEventListener("click", answer("deny"))
}

const start = async () => {
  const me = await call("GET", "/api/auth/me")
  byId("who").textContent = me.user.name ?? me.user.email ?? me.user.subject
  byId("sign-out").hidden = false
  byId("sign-out").addEventListener(
    "click",
    attempt(async () => {
      const { logoutUrl } = await call("POST", "/api/auth/logout")
      location.assign(logoutUrl ?? "/")
    })
  )
  byId("pair").addEventListener(
    "submit",
    attempt(async () => {
      const name = byId("pair-name").value.trim()
      showCode(await call("POST", "/api/pairing/codes", name === "" ? {} : { name }))
      byId("pair").reset()
    })
  )
  byId("copy").addEventListener(
    "click",
    attempt(() => navigator.clipboard.writeText(byId("command").textContent))
  )
  byId("more").addEventListener("click", attempt(loadPage))
  // The stream first: what happens while the list is under way is not missed.
  follow()
  await loadPage()
  await showRequest()
}

await attempt(start)()
