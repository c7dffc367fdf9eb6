import type { Duplex } from "node:stream"
import { reset } from "../Splice.ts"
import type { ServiceTarget } from "./LocalConnection.ts"
import type { Services } from "./LocalService.ts"

/** The streams of each service, to be ended when it is offered no longer, or is another one. */
export class OpenStreams {
  readonly #streams = new Map<string, Set<Duplex>>()

  add(service: string, stream: Duplex): void {
    const streams = this.#streams.get(service) ?? new Set()
    this.#streams.set(service, streams.add(stream))
    stream.once("close", () => {
      streams.delete(stream)
      if (streams.size === 0 && this.#streams.get(service) === streams) this.#streams.delete(service)
    })
  }

  /** Those that lead where none leads any more. Answers how to break them off. */
  takeStale(before: Services, now: Services): () => void {
    const stale = Array.from(before)
      .filter(([name, target]) => !isSame(target, now.get(name)))
      .flatMap(([name]) => Array.from(this.#streams.get(name) ?? []))
    return () => {
      for (const stream of stale) if (!stream.destroyed) reset(stream)
    }
  }
}

const isSame = (one: ServiceTarget, other: ServiceTarget | undefined): boolean =>
  other !== undefined && JSON.stringify(one) === JSON.stringify(other)
