import { Effect, Layer, Option, Stream } from "effect"
import { Redis } from "effect/persistence"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { DirectoryUnavailable, SessionDirectory } from "./SessionDirectory.ts"
import * as Scripts from "./SessionDirectoryScripts.ts"

/** For who only asks: the api. Where Redis does not answer, an edge is thought to be where it last was. */
export const layer = (options: { readonly cluster?: string } = {}) =>
  Layer.effect(
    SessionDirectory,
    Effect.gen(function* () {
      const reader = yield* makeReader(keyPrefix(options.cluster))
      const known = new Map<EdgeId, string>()
      return SessionDirectory.of({
        proxies: reader.proxies,
        // The proxy itself says whether it holds the edge, so that an old address does no harm.
        locate: (edgeId) =>
          reader.locate(edgeId).pipe(
            Effect.tap((found) => Effect.sync(() => remember(known, edgeId, Option.getOrUndefined(found)))),
            Effect.catch((error) => {
              const last = known.get(edgeId)
              return last === undefined ? Effect.fail(error) : Effect.succeedSome(last)
            })
          ),
        claim: () => Effect.die(new Error("only a proxy claims edges")),
        release: () => Effect.die(new Error("only a proxy claims edges")),
        claims: Stream.never,
        isAccepting: Effect.succeed(false)
      })
    })
  )

/** Of a cluster's keys. In braces, so that a Redis Cluster keeps them together. */
export const keyPrefix = (cluster = "edge-relay"): string => `{${cluster}}:`

/** What every process may ask of the directory in Redis. */
export const makeReader = Effect.fnUntraced(function* (prefix: string) {
  const redis = yield* Redis.Redis
  const locate = redis.eval(Scripts.locate)
  const proxies = redis.eval(Scripts.proxies)
  return {
    locate: Effect.fn("SessionDirectory.locate")((edgeId: EdgeId) =>
      Effect.map(unavailable("locate", locate(prefix, edgeId)), Option.fromNullishOr)
    ),
    proxies: Effect.map(unavailable("proxies", proxies(prefix)), (urls) => Array.from(new Set(urls)))
  }
})

/** Some 10 MB. */
const MAX_REMEMBERED = 50_000

const remember = (known: Map<EdgeId, string>, edgeId: EdgeId, url: string | undefined): void => {
  known.delete(edgeId)
  if (url === undefined) return
  known.set(edgeId, url)
  for (const oldest of known.keys()) {
    if (known.size <= MAX_REMEMBERED) break
    known.delete(oldest)
  }
}

export const unavailable = <A, E>(operation: string, effect: Effect.Effect<A, E>) =>
  Effect.mapError(effect, (cause) => new DirectoryUnavailable({ operation, cause }))
