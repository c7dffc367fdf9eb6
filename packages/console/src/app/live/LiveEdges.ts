import { useSyncExternalStore } from "react"
import { call, type Edge } from "../api/Client.ts"
import { Problem } from "../api/Problem.ts"

/** All edges of the tenant as they are now. */
export interface Fleet {
  readonly edges: ReadonlyMap<string, Edge>
  /** Every page of the list has come. */
  readonly isComplete: boolean
  readonly connection: "connecting" | "live" | "lost"
  /** When this page saw an edge go offline, in epoch milliseconds. */
  readonly wentOffline: ReadonlyMap<string, number>
}

/**
 * The list and the event stream as one: the stream is opened first, and what it tells wins over pages that were under
 * way meanwhile. The browser resumes a stream that broke; one that was refused is asked about, and begun anew.
 */
class LiveEdges {
  #fleet: Fleet = { edges: new Map(), isComplete: false, connection: "connecting", wentOffline: new Map() }
  #edges = new Map<string, Edge>()
  #wentOffline = new Map<string, number>()
  /** What the stream told while pages are loaded. */
  #told = new Set<string>()
  #source: EventSource | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #announced = false
  #isComplete = false
  #connection: Fleet["connection"] = "connecting"
  #waitMillis = 1_000
  readonly #listeners = new Set<() => void>()

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  readonly snapshot = (): Fleet => this.#fleet

  start(): void {
    if (this.#source !== undefined) return
    const source = new EventSource("/api/edges/events")
    this.#source = source
    this.#told.clear()
    source.addEventListener("open", () => {
      this.#waitMillis = 1_000
      this.#connection = "live"
      this.#announce()
    })
    source.addEventListener("error", () => {
      this.#connection = "lost"
      this.#announce()
      if (source.readyState === EventSource.CLOSED) this.#again()
    })
    for (const type of ["edge.online", "edge.offline", "edge.updated", "edge.contended"] as const) {
      source.addEventListener(type, ({ data }: MessageEvent<string>) => {
        // The contract's `EdgeEvent`, from our own origin.
        const { edge } = JSON.parse(data) as { readonly edge: Edge | null }
        if (edge !== null) this.put(edge)
      })
    }
    source.addEventListener("edge.removed", ({ data }: MessageEvent<string>) => {
      const { edgeId } = JSON.parse(data) as { readonly edgeId: string }
      this.drop(edgeId)
    })
    void this.#load(source)
  }

  stop(): void {
    this.#source?.close()
    this.#source = undefined
    clearTimeout(this.#timer)
  }

  /** What is known of an edge now, from the stream or from an answer. */
  put(edge: Edge): void {
    this.#told.add(edge.id)
    const before = this.#edges.get(edge.id)
    if (edge.online) this.#wentOffline.delete(edge.id)
    else if (before?.online === true) this.#wentOffline.set(edge.id, Date.now())
    this.#edges.set(edge.id, edge)
    this.#announce()
  }

  drop(edgeId: string): void {
    this.#told.add(edgeId)
    this.#edges.delete(edgeId)
    this.#announce()
  }

  async #load(source: EventSource): Promise<void> {
    const seen = new Set<string>()
    let cursor: string | null = null
    try {
      do {
        const query: { limit: string; cursor?: string } = { limit: "200", ...(cursor !== null && { cursor }) }
        const page: { readonly items: ReadonlyArray<Edge>; readonly nextCursor: string | null } = await call(
          "GET /api/edges",
          { query }
        )
        if (this.#source !== source) return
        for (const edge of page.items) {
          seen.add(edge.id)
          if (!this.#told.has(edge.id)) this.#edges.set(edge.id, edge)
        }
        cursor = page.nextCursor
        this.#announce()
      } while (cursor !== null)
      // Those of an earlier stream that were removed while there was none.
      for (const id of this.#edges.keys()) if (!seen.has(id) && !this.#told.has(id)) this.#edges.delete(id)
      this.#isComplete = true
      this.#announce()
    } catch (error) {
      if (this.#source !== source) return
      // Who is signed out is told so; all else heals.
      if (!(error instanceof Problem && error.status === 401)) this.#again()
    }
  }

  /** Begins anew after a while: 1 s, then twice as long each time, up to 30 s. */
  #again(): void {
    this.stop()
    this.#connection = "lost"
    this.#announce()
    this.#timer = setTimeout(() => {
      // The stream does not say why it was refused; this does, and tells whoever has to know.
      call("GET /api/auth/me", { query: { slide: "false" } }).then(
        () => this.start(),
        (error: unknown) => {
          if (!(error instanceof Problem && error.status === 401)) this.#again()
        }
      )
    }, this.#waitMillis)
    this.#waitMillis = Math.min(this.#waitMillis * 2, 30_000)
  }

  /** Events come in bursts: the page is drawn once for all of one. */
  #announce(): void {
    if (this.#announced) return
    this.#announced = true
    setTimeout(() => {
      this.#announced = false
      this.#fleet = {
        edges: new Map(this.#edges),
        isComplete: this.#isComplete,
        connection: this.#connection,
        wentOffline: new Map(this.#wentOffline)
      }
      for (const listener of this.#listeners) listener()
    }, 16)
  }
}

export const liveEdges = new LiveEdges()

export const useFleet = (): Fleet => useSyncExternalStore(liveEdges.subscribe, liveEdges.snapshot)
