import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import { SessionDirectory } from "@edge-relay/tunnel/directory/SessionDirectory"
import { Clock, Effect, FiberMap, Layer, Redacted, Schedule, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { Presence, ProxyUnavailable } from "@edge-relay/domain/tunnels/Presence"
import { PresenceTable } from "./PresenceTable.ts"

/**
 * Follows every proxy of the cluster: one event stream to each, opened again when it breaks. What a lost proxy
 * held counts as online for 5 s more, so that a blink of the network is no storm of events.
 */
export const layer = (options: { readonly internalKey: Redacted.Redacted<string> }) =>
  Layer.effect(
    Presence,
    Effect.gen(function* () {
      const directory = yield* SessionDirectory
      const clock = yield* Clock.Clock
      const client = HttpClient.mapRequest(
        yield* HttpClient.HttpClient,
        HttpClientRequest.bearerToken(options.internalKey)
      )
      const table = new PresenceTable()
      const followers = yield* FiberMap.make<string>()
      const lost = new Map<string, { readonly reason: string; readonly since: number }>()
      let listedAt = 0

      const take = (proxy: string, event: ProxyEvent): void => {
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

      const readEvents = (proxy: string) =>
        client.get(`${proxy}/internal/events`, { headers: { accept: "text/event-stream" } }).pipe(
          Effect.flatMap(HttpClientResponse.filterStatusOk),
          HttpClientResponse.stream,
          // A proxy says something every few seconds: silence is a connection that nobody closed.
          Stream.timeout(silence),
          Stream.decodeText(),
          Stream.pipeThroughChannel(Sse.decode({ maxEventSize: maxSnapshotBytes })),
          Stream.mapEffect(({ data }) => decodeEvent(data)),
          Stream.runForEach((event) => Effect.sync(() => take(proxy, event)))
        )

      const follow = (proxy: string) =>
        readEvents(proxy).pipe(
          Effect.matchEffect({
            onFailure: (error) => notice(proxy, "does not answer", error),
            onSuccess: () => notice(proxy, "has closed its events", undefined)
          }),
          Effect.repeat(Schedule.spaced(retryAfter)),
          Effect.asVoid
        )

      const notice = (proxy: string, reason: string, cause: unknown) =>
        Effect.suspend(() => {
          const now = clock.currentTimeMillisUnsafe()
          const before = lost.get(proxy)
          lost.set(proxy, { reason, since: before?.since ?? now })
          if (before !== undefined && now - before.since > forgetAfterMillis) table.drop(proxy)
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
        const proxies = yield* directory.proxies
        isListed = true
        for (const proxy of proxies) {
          if (yield* FiberMap.has(followers, proxy)) continue
          lost.set(proxy, { reason: "is not followed yet", since: clock.currentTimeMillisUnsafe() })
          yield* FiberMap.run(followers, proxy, follow(proxy))
        }
        for (const [proxy] of followers) {
          if (proxies.includes(proxy)) continue
          yield* FiberMap.remove(followers, proxy)
          lost.delete(proxy)
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

      /** Counters change without an event; they are asked for while somebody looks at lists. */
      const refreshLists = Effect.gen(function* () {
        if (clock.currentTimeMillisUnsafe() - listedAt > 2 * listMillis) return
        for (const [proxy] of followers) {
          const sessions = yield* client
            .get(`${proxy}/internal/sessions`)
            .pipe(Effect.flatMap(HttpClientResponse.filterStatusOk), Effect.flatMap(decodeSessions))
          for (const session of sessions) table.refresh(proxy, session)
        }
        // The next one tries again; a proxy that is gone is noticed by its events.
      }).pipe(Effect.timeout(`${listMillis} millis`), Effect.ignore)

      yield* reconcile
      yield* Effect.forkScoped(Effect.repeat(reconcile, Schedule.spaced("2 seconds")))
      yield* Effect.forkScoped(Effect.repeat(refreshLists, Schedule.spaced(`${listMillis} millis`)))

      return Presence.of({
        session: (edgeId) => table.session(edgeId),
        isContended: (edgeId) => table.isContended(edgeId),
        onlineOf: (tenantId) => {
          listedAt = clock.currentTimeMillisUnsafe()
          return table.onlineOf(tenantId)
        },
        watch: (onChange) => table.watch(onChange),
        missing: () => {
          if (!isListed) return [{ name: "session directory", reason: "does not answer" }]
          const followed = Array.from(followers, ([proxy]) => proxy)
          if (followed.length === 0) return [{ name: "proxy", reason: "none has announced itself" }]
          // One of several may be gone for good; what it held is elsewhere.
          return followed.every((proxy) => lost.has(proxy))
            ? Array.from(lost.values(), ({ reason }) => ({ name: "proxy", reason }))
            : []
        },

        refresh: Effect.fnUntraced(function* (edgeId) {
          const proxy = table.proxyOf(edgeId)
          if (proxy === undefined) return undefined
          yield* client.get(`${proxy}/internal/sessions/${edgeId}`).pipe(
            Effect.flatMap(HttpClientResponse.filterStatusOk),
            Effect.flatMap(decodeSession),
            Effect.timeout("1 second"),
            Effect.match({
              // What is remembered is what there is.
              onFailure: () => {},
              onSuccess: (session) => table.refresh(proxy, session)
            })
          )
          return table.session(edgeId)
        }),

        close: Effect.fn("Presence.close")(function* (edgeId, reason) {
          const proxies = table.proxyOf(edgeId) === undefined ? [] : Array.from(followers, ([proxy]) => proxy)
          const closed = yield* Effect.forEach(
            proxies,
            (proxy) =>
              client.del(`${proxy}/internal/sessions/${edgeId}?reason=${reason}`).pipe(
                Effect.timeout("3 seconds"),
                Effect.flatMap((response) =>
                  response.status === 404
                    ? Effect.succeed(false)
                    : Effect.as(HttpClientResponse.filterStatusOk(response), true)
                ),
                Effect.mapError((cause) => new ProxyUnavailable({ url: proxy, cause }))
              ),
            { concurrency: "unbounded" }
          )
          return closed.includes(true)
        })
      })
    })
  )

/** A proxy that restarts is back sooner; one whose machine died stays away. */
const forgetAfterMillis = 5000
const retryAfter = "500 millis"
const silence = "40 seconds"
const listMillis = 10_000
/** A hundred thousand tunnels in one event. */
const maxSnapshotBytes = 64 * 1024 * 1024

type ProxyEvent = typeof ProxyEvent.Type

/** As `TunnelEvent` of the proxy, over its event stream. */
const ProxyEvent = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("snapshot"),
    sessions: Schema.Array(SessionSummary),
    contended: Schema.Array(EdgeId)
  }),
  Schema.Struct({ type: Schema.Literal("online"), session: SessionSummary }),
  Schema.Struct({ type: Schema.Literal("offline"), edgeId: EdgeId, tenantId: TenantId }),
  Schema.Struct({
    type: Schema.Literal("contended"),
    edgeId: EdgeId,
    tenantId: TenantId,
    contended: Schema.Boolean
  }),
  Schema.Struct({ type: Schema.Literal("draining") })
])

const decodeEvent = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(ProxyEvent)))
const decodeSession = HttpClientResponse.schemaBodyJson(Schema.toCodecJson(SessionSummary))
const decodeSessions = HttpClientResponse.schemaBodyJson(Schema.toCodecJson(Schema.Array(SessionSummary)))
