import { Effect, type Scope } from "effect"
import { request } from "node:http"

export interface ReadEvent {
  readonly id: string
  readonly event: string
  readonly edgeId: string
  readonly edge: {
    readonly name: string
    readonly online: boolean
    readonly contended: boolean
    readonly session: unknown
  } | null
  /** When it arrived. */
  readonly at: number
}

/** Reads an event stream as a browser's `EventSource` does, but for coming back by itself. */
export class EventReader {
  readonly events: Array<ReadEvent> = []
  readonly headers: { readonly [name: string]: unknown }
  lastEventId = ""
  /** Everything that came, comments too. */
  text = ""
  isEnded = false
  #unread = ""
  #onChange: Array<() => void> = []

  constructor(headers: { readonly [name: string]: unknown }) {
    this.headers = headers
  }

  static readonly open = (
    url: string,
    /** A cookie, or the headers of who has none. */
    sent: string | { readonly [name: string]: string },
    lastEventId?: string
  ): Effect.Effect<EventReader, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.callback<{ readonly reader: EventReader; readonly close: () => void }>((resume) => {
        const credentials = typeof sent === "string" ? { cookie: sent } : sent
        const headers = {
          ...credentials,
          ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId })
        }
        const outgoing = request(`${url}/api/edges/events`, { agent: false, headers }, (response) => {
          const reader = new EventReader(response.headers)
          response.setEncoding("utf8")
          response.on("data", (text: string) => reader.#feed(text))
          response.on("close", () => {
            reader.isEnded = true
            reader.#changed()
          })
          response.on("error", () => {})
          resume(Effect.succeed({ reader, close: () => outgoing.destroy() }))
        })
        outgoing.on("error", () => {})
        outgoing.end()
      }),
      ({ close }) => Effect.sync(close)
    ).pipe(
      Effect.map(({ reader }) => reader),
      // Its first block says that it is listening.
      Effect.tap((reader) => reader.until(() => reader.lastEventId !== "" || reader.isEnded))
    )

  /** Waits until something is the case, looking again with everything that arrives; half a minute at most. */
  until(isDone: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const look = () => {
        if (isDone()) resume(Effect.void)
        else this.#onChange.push(look)
      }
      look()
    }).pipe(Effect.timeout("30 seconds"), Effect.orDie)
  }

  take(count: number): Effect.Effect<ReadonlyArray<ReadEvent>> {
    return Effect.map(
      this.until(() => this.events.length >= count),
      () => this.events.slice(0, count)
    )
  }

  #changed(): void {
    const waiting = this.#onChange
    this.#onChange = []
    for (const look of waiting) look()
  }

  #feed(text: string): void {
    this.text += text
    const blocks = (this.#unread + text).split("\n\n")
    this.#unread = blocks.pop() ?? ""
    for (const block of blocks) this.#block(block)
    this.#changed()
  }

  #block(block: string): void {
    const fields = new Map<string, string>()
    for (const line of block.split("\n")) {
      const colon = line.indexOf(": ")
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2))
    }
    this.lastEventId = fields.get("id") ?? this.lastEventId
    const data = fields.get("data")
    if (data === undefined) return
    this.events.push({
      id: this.lastEventId,
      event: fields.get("event") ?? "message",
      ...JSON.parse(data),
      at: performance.now()
    })
  }
}
