import { CloseCode } from "@edge-relay/protocol/TunnelProtocol"

/**
 * When an agent dials again, by how its last try ended: the table of close codes, and back-off with full jitter
 * (0 to 0.5 s, doubling to 0 to 30 s), which starts over once a tunnel has been well for a minute.
 */

export interface ReconnectOptions {
  readonly firstMillis: number
  readonly maxMillis: number
  /** A tunnel that stood this long ends the back-off that came before it. */
  readonly healthyMillis: number
  /** After another machine took over: ± 50 %. */
  readonly displacedMillis: number
}

export const defaultReconnect: ReconnectOptions = {
  firstMillis: 500,
  maxMillis: 30_000,
  healthyMillis: 60_000,
  displacedMillis: 60_000
}

/** How one try ended. */
export type Ending =
  | { readonly _tag: "closed"; readonly code: number; readonly reason: string; readonly stoodMillis: number }
  /** An HTTP answer in place of the upgrade. `code` is of its problem body, where it was one of ours. */
  | {
      readonly _tag: "refused"
      readonly status: number
      readonly code: string | undefined
      readonly retryAfterMillis: number | undefined
    }
  | { readonly _tag: "failed"; readonly message: string; readonly error?: Error }
  /** The cloud asked for a new connection; this one goes on until its streams have ended. */
  | { readonly _tag: "draining"; readonly afterMillis: number; readonly stoodMillis: number }

export type Next =
  | { readonly _tag: "stop" }
  | { readonly _tag: "wait"; readonly millis: number; readonly displaced?: boolean }

export class Reconnect {
  readonly #options: ReconnectOptions
  readonly #random: () => number
  #failures = 0

  constructor(options: ReconnectOptions, random: () => number) {
    this.#options = options
    this.#random = random
  }

  next(ending: Ending): Next {
    if ("stoodMillis" in ending && ending.stoodMillis >= this.#options.healthyMillis) this.#failures = 0
    switch (ending._tag) {
      case "draining":
        return { _tag: "wait", millis: ending.afterMillis }
      case "failed":
        return this.#backOff()
      case "refused":
        // Only where it is a proxy of ours that says so: the token is unknown or revoked.
        if (ending.status === 401 && ending.code === "unauthorized") return { _tag: "stop" }
        return this.#backOff(ending.retryAfterMillis)
      case "closed":
        return this.#afterClose(ending.code)
    }
  }

  #afterClose(code: number): Next {
    if (code === CloseCode.revoked) return { _tag: "stop" }
    if (code === CloseCode.displaced) {
      return { _tag: "wait", millis: this.#options.displacedMillis * (0.5 + this.#random()), displaced: true }
    }
    // At once, unless that is all it ever says.
    if (code === CloseCode.draining && this.#failures === 0) {
      this.#failures = 1
      return { _tag: "wait", millis: 0 }
    }
    return this.#backOff()
  }

  #backOff(leastMillis = 0): Next {
    const { firstMillis, maxMillis } = this.#options
    const most = Math.min(firstMillis * 2 ** this.#failures, maxMillis)
    // The exponent stays small enough for 2 ** to stay finite.
    this.#failures = Math.min(this.#failures + 1, 30)
    return { _tag: "wait", millis: leastMillis + this.#random() * most }
  }
}

/** RFC 9110 §10.2.3: seconds, or a date. */
export const parseRetryAfter = (header: string | undefined, now: number): number | undefined => {
  if (header === undefined) return undefined
  if (/^\d+$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
