import { constants, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks"
import { getHeapSpaceStatistics, getHeapStatistics, setFlagsFromString } from "node:v8"
import { Predicate } from "effect"

/**
 * Tells V8 how programs live that carry bytes: to be called once, as a program starts.
 *
 * Network buffers lie outside V8's heap. By default some tens of MB of them that come and go make it mark the whole
 * heap, twenty times and more for each GB that passes, which was most of what a bulk transfer cost the api. With the
 * first flag they count against the heap's limit as what is in it does; with the second the limit is three times what
 * lived at the last marking, so that young collections (0.3 ms) free them before it is reached.
 *
 * `npm run bench -- gateway` prints each process's CPU for 1 GB, to compare with and without.
 */
export const tuneHeap = (): void => {
  setFlagsFromString("--external-memory-accounted-in-global-limit")
  setFlagsFromString("--heap-growing-percent=200")
}

/** What may be added to the old generation before it is marked: that much, or that part of what lived. */
const LEAST_GROWTH = 8 * 1024 * 1024
const GROWTH = 0.1

/**
 * For a program that holds very many tunnels, to be called once beside {@link tuneHeap}.
 *
 * So high a limit is right for buffers and not for objects: while ten thousand agents connected, a third of what was
 * kept of their handshakes was garbage that nobody looked for, 4 KiB a tunnel. So the old generation's objects,
 * which buffers are not, have a smaller limit of their own, past which V8 is asked to begin an incremental marking.
 * A program that makes many short-lived objects pays for that: the api half as much CPU again for small requests.
 *
 * `npm run bench -- tunnel --only idle` prints what a tunnel costs as soon as all have connected.
 */
export const markEarly = (): void => {
  let lived = Number.POSITIVE_INFINITY
  let isAsked = false
  const ask = (isSo: boolean): void => {
    if (isAsked === isSo) return
    isAsked = isSo
    // A marking begins once so many percent of the way to the limit are behind; 0, V8's default: when it sees fit.
    setFlagsFromString(`--incremental-marking-soft-trigger=${isSo ? 1 : 0}`)
  }
  const observer = new PerformanceObserver((list) => {
    const old = oldGeneration()
    if (list.getEntries().some(isMajor)) {
      lived = old
      ask(false)
    } else if (old - lived > Math.max(LEAST_GROWTH, lived * GROWTH)) ask(true)
  })
  observer.observe({ entryTypes: ["gc"] })
}

// `detail` is missing in the types of an entry.
const isMajor = (entry: PerformanceEntry): boolean =>
  Predicate.hasProperty(entry, "detail") &&
  Predicate.hasProperty(entry.detail, "kind") &&
  entry.detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR

/** In bytes, of objects. */
const oldGeneration = (): number => {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")
  return getHeapStatistics().used_heap_size - (young?.space_used_size ?? 0)
}
