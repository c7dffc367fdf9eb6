import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Presence, ProxyUnavailable } from "@edge-relay/domain/tunnels/Presence"
import type { TunnelEvent } from "@edge-relay/protocol/TunnelEvent"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { Clock, Effect, FiberMap, Schedule, type Scope, Stream } from "effect"
import type { PresenceClient } from "./PresenceClient.ts"
import { PresenceTable } from "./PresenceTable.ts"

export interface FollowedProxiesOptions {
  /** How a proxy of the directory is asked. */
  readonly connect: (proxyUrl: string) => Effect.Effect<PresenceClient>
  /** How often counters are asked for while somebody looks at lists. */
  readonly listMillis?: number | undefined
}

/**
 * Follows every proxy of the cluster: one event stream to each, opened again when it breaks. What a lost proxy
 * held counts as online for 5 s more, so that a blink of the network is no storm of events.
 */
export const make = Effect.fnUntraced(function* ({
  connect,
  listMillis = LIST_MILLIS
}: FollowedProxiesOptions): Effect.fn.Return<Presence["Service"], never, SessionDirectory | Scope.Scope> {
  const directory = yield* SessionDirectory
  const clock = yield* Clock.Clock
  const table = new PresenceTable()
  const proxies = new Map<string, PresenceClient>()
  const followers = yield* FiberMap.make<string>()
  const lost = new Map<string, { readonly reason: string; readonly since: number }>()
  /** Whose counters could not be had at the last try. */
  const withoutFigures = new Set<string>()
  let listedAt = Number.NEGATIVE_INFINITY
  const now = () => clock.currentTimeMillisUnsafe()

  const take = (proxy: string, event: TunnelEvent): void => {
    switch (event.type) {
      case "snapshot":
        lost.delete(proxy)
        return table.snapshot(proxy, event.sessions, event.contended)
      case "online":
        return table.online(proxy, event.session)
      case "offline":
        return table.offline(proxy, event.edgeId)
      case "contended":
        return table.contended(proxy, event.edgeId, event.tenantId, event.contended)
      case "draining":
        return
    }
  }

  const follow = (proxy: string, client: PresenceClient) =>
    Stream.runForEach(client.events, (event) => Effect.sync(() => take(proxy, event))).pipe(
      // A proxy that hangs says nothing, and would be missed for as long as a quiet one may be silent.
      Effect.raceFirst(Effect.repeat(client.isAlive, Schedule.spaced(ALIVE_EVERY))),
      Effect.matchEffect({
        onFailure: (error) => notice(proxy, "does not answer", error),
        onSuccess: () => notice(proxy, "has closed its events", undefined)
      }),
      Effect.repeat(Schedule.spaced(RETRY_AFTER)),
      Effect.asVoid
    )

  const notice = (proxy: string, reason: string, cause: unknown) =>
    Effect.suspend(() => {
      const before = lost.get(proxy)
      lost.set(proxy, { reason, since: before?.since ?? now() })
      if (before !== undefined && now() - before.since > FORGET_AFTER_MILLIS) table.drop(proxy)
      return before === undefined
        ? Effect.annotateLogs(Effect.logWarning("a proxy's events broke off"), {
            proxy,
            reason,
            cause: String(cause)
          })
        : Effect.void
    })

  let isListed = false
  const reconcile = Effect.gen(function* () {
    const announced = yield* directory.proxies
    isListed = true
    for (const proxy of announced) {
      if (proxies.has(proxy)) continue
      lost.set(proxy, { reason: "is not followed yet", since: now() })
      const client = yield* connect(proxy)
      proxies.set(proxy, client)
      yield* FiberMap.run(followers, proxy, follow(proxy, client))
    }
    for (const proxy of proxies.keys()) {
      if (announced.includes(proxy)) continue
      yield* FiberMap.remove(followers, proxy)
      proxies.delete(proxy)
      lost.delete(proxy)
      withoutFigures.delete(proxy)
      table.drop(proxy)
    }
  }).pipe(
    // Those that are followed go on being; the directory says in its own log why it is away.
    Effect.catchTag("DirectoryUnavailable", (error) =>
      Effect.andThen(
        isListed ? Effect.logWarning("the list of proxies is not to be had", error) : Effect.void,
        Effect.sync(() => (isListed = false))
      )
    )
  )

  const refreshProxy = (proxy: string, client: PresenceClient) =>
    client.list.pipe(
      Effect.matchCauseEffect({
        onSuccess: (sessions) =>
          Effect.sync(() => {
            withoutFigures.delete(proxy)
            for (const session of sessions) table.refresh(proxy, session)
          }),
        onFailure: (cause) => {
          if (withoutFigures.has(proxy)) return Effect.void
          withoutFigures.add(proxy)
          return Effect.logWarning("a proxy's figures stand still: it does not list its tunnels", cause)
        }
      }),
      Effect.annotateLogs({ proxy })
    )

  /** Counters change without an event; they are asked for while somebody looks at lists. */
  const refreshLists = Effect.suspend(() =>
    now() - listedAt > 2 * listMillis
      ? Effect.void
      : Effect.forEach(Array.from(proxies), ([proxy, client]) => refreshProxy(proxy, client), {
          concurrency: "unbounded",
          discard: true
        })
  )

  yield* reconcile
  yield* Effect.forkScoped(Effect.repeat(reconcile, Schedule.spaced("2 seconds")))
  yield* Effect.forkScoped(Effect.repeat(refreshLists, Schedule.spaced(`${listMillis} millis`)))

  return Presence.of({
    session: (edgeId) => table.session(edgeId),
    isContended: (edgeId) => table.isContended(edgeId),
    onlineOf: (tenantId) => {
      listedAt = now()
      return table.onlineOf(tenantId)
    },
    watch: (onChange) => table.watch(onChange),
    missing: () => {
      if (!isListed) return [{ name: "session directory", reason: "does not answer" }]
      const followed = Array.from(proxies.keys())
      if (followed.length === 0) return [{ name: "proxy", reason: "none has announced itself" }]
      // One of several may be gone for good; what it held is elsewhere.
      return followed.every((proxy) => lost.has(proxy))
        ? Array.from(lost.values(), ({ reason }) => ({ name: "proxy", reason }))
        : []
    },

    refresh: Effect.fnUntraced(function* (edgeId: EdgeId) {
      const proxy = table.proxyOf(edgeId)
      const client = proxy === undefined ? undefined : proxies.get(proxy)
      if (proxy === undefined || client === undefined) return undefined
      yield* Effect.match(client.get(edgeId), {
        // What is remembered is what there is.
        onFailure: () => {},
        onSuccess: (session) => table.refresh(proxy, session)
      })
      return table.session(edgeId)
    }),

    close: Effect.fn("Presence.close")(function* (edgeId: EdgeId, reason: "disconnected" | "revoked") {
      const asked = table.proxyOf(edgeId) === undefined ? [] : Array.from(proxies)
      const closed = yield* Effect.forEach(
        asked,
        ([proxy, client]) =>
          Effect.mapError(
            client.close(edgeId, reason),
            (cause) => new ProxyUnavailable({ url: proxy, cause })
          ),
        { concurrency: "unbounded" }
      )
      return closed.includes(true)
    })
  })
})

/** A proxy that restarts is back sooner; one whose machine died stays away. */
const FORGET_AFTER_MILLIS = 5_000
const RETRY_AFTER = "500 millis"
/** How often a proxy is asked whether it still answers. */
const ALIVE_EVERY = "2 seconds"
const LIST_MILLIS = 10_000
