import { Effect } from "effect"
import type { ServiceTarget } from "./LocalConnection.ts"

/** Between two lines of one service. */
const EVERY_MILLIS = 10_000

export interface LocalFailuresOptions {
  /** Milliseconds. */
  readonly now: () => number
  /** Runs it in the background. */
  readonly run: (log: Effect.Effect<void>) => void
}

/** Local services that take no connection: the first time at once in the log, and then a line every ten seconds. */
export class LocalFailures {
  readonly #options: LocalFailuresOptions
  readonly #told = new Map<string, { at: number; times: number }>()

  constructor(options: LocalFailuresOptions) {
    this.#options = options
  }

  /** `requestId`: of the request that it happened to, where the cloud has said it. */
  add(service: string, target: ServiceTarget, error: Error, requestId?: string): void {
    const now = this.#options.now()
    const told = this.#told.get(service) ?? { at: Number.NEGATIVE_INFINITY, times: 0 }
    this.#told.set(service, told)
    told.times++
    if (now - told.at < EVERY_MILLIS) return
    const where = "path" in target ? `unix:${target.path}` : `${target.host}:${target.port}`
    const times = told.times === 1 ? "" : `, ${told.times} times since the last such line`
    told.at = now
    told.times = 0
    const log = Effect.logWarning(
      `service ${service} took no connection at ${where} (${reason(error)})${times}`
    )
    this.#options.run(requestId === undefined ? log : Effect.annotateLogs(log, { requestId }))
  }
}

/** Of several addresses tried, node's error has a message of its own for each, and none for all. */
const reason = (error: Error): string =>
  error instanceof AggregateError ? error.errors.map((one) => reason(one)).join("; ") : error.message
