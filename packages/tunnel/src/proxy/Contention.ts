import type { TokenId } from "@edge-relay/domain/ids/TokenId"
import type { AuthenticatedToken } from "@edge-relay/domain/tunnels/SessionTokens"

/**
 * Two machines that hold one session token displace each other for ever. A token whose sessions were displaced
 * `fights` times inside `withinMillis` is contended: further connections with it are put off, each for twice as
 * long as the last, until nobody has tried for `calmMillis`.
 */

export interface ContentionOptions {
  readonly fights: number
  readonly withinMillis: number
  readonly calmMillis: number
  readonly firstDelayMillis: number
  readonly maxDelayMillis: number
}

export const defaultContention: ContentionOptions = {
  fights: 5,
  withinMillis: 60_000,
  calmMillis: 60_000,
  firstDelayMillis: 5_000,
  maxDelayMillis: 300_000
}

interface Fight {
  readonly token: AuthenticatedToken
  displacedAt: Array<number>
  contended: boolean
  refusals: number
  lastSeenAt: number
}

export class Contention {
  readonly #options: ContentionOptions
  readonly #fights = new Map<TokenId, Fight>()

  constructor(options: ContentionOptions) {
    this.#options = options
  }

  /** A session of this token was displaced. Answers whether that has just made the token contended. */
  displaced(token: AuthenticatedToken, now: number): boolean {
    const fight = this.#fights.get(token.tokenId) ?? {
      token,
      displacedAt: [],
      contended: false,
      refusals: 0,
      lastSeenAt: now
    }
    this.#fights.set(token.tokenId, fight)
    fight.lastSeenAt = now
    fight.displacedAt = [...fight.displacedAt.filter((at) => now - at < this.#options.withinMillis), now]
    if (fight.contended || fight.displacedAt.length < this.#options.fights) return false
    fight.contended = true
    return true
  }

  get contended(): ReadonlyArray<AuthenticatedToken> {
    return Array.from(this.#fights.values())
      .filter((fight) => fight.contended)
      .map(({ token }) => token)
  }

  /** For a connection that would displace another one: milliseconds to put it off by, 0 to let it in. */
  delayMillis(tokenId: TokenId, now: number): number {
    const fight = this.#fights.get(tokenId)
    if (fight === undefined || !fight.contended || this.#isCalm(fight, now)) return 0
    fight.lastSeenAt = now
    return Math.min(this.#options.firstDelayMillis * 2 ** fight.refusals++, this.#options.maxDelayMillis)
  }

  /** Forgets what is calm; answers the tokens that are no longer contended. */
  settle(now: number): ReadonlyArray<AuthenticatedToken> {
    const calm = Array.from(this.#fights.values()).filter((fight) => this.#isCalm(fight, now))
    for (const { token } of calm) this.#fights.delete(token.tokenId)
    return calm.filter((fight) => fight.contended).map(({ token }) => token)
  }

  #isCalm(fight: Fight, now: number): boolean {
    return now - fight.lastSeenAt >= Math.max(this.#options.calmMillis, this.#options.withinMillis)
  }
}
