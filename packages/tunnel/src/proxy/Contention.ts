import type { TokenId } from "@edge-relay/domain/ids/TokenId"
import type { AuthenticatedToken } from "@edge-relay/domain/tunnels/SessionTokens"

/**
 * Two machines that hold one session token displace each other for ever. Such a token is contended. It is known by
 * either of two things:
 *
 * - agents that say which one they are (`instanceId`) come back, `returns` times, after another one has taken their
 *   place, however slowly; an agent that only lost its connection displaces itself, and one that was restarted never
 *   comes back as who it was;
 * - its sessions were displaced `fights` times inside `withinMillis`, whoever they were.
 *
 * Further connections with it are put off, each for twice as long as the last, until nobody has come for `calmMillis`
 * although they might.
 */

export interface ContentionOptions {
  readonly returns: number
  readonly fights: number
  readonly withinMillis: number
  /** Longer than an agent that was displaced waits, which is 90 s at most. */
  readonly calmMillis: number
  readonly firstDelayMillis: number
  readonly maxDelayMillis: number
}

export const defaultContention: ContentionOptions = {
  returns: 2,
  fights: 5,
  withinMillis: 60_000,
  calmMillis: 300_000,
  firstDelayMillis: 5_000,
  maxDelayMillis: 300_000
}

/** Instances remembered of one token: a machine that starts its agent again and again must not use up memory. */
const MAX_INSTANCES = 16

interface Fight {
  readonly token: AuthenticatedToken
  displacedAt: Array<number>
  /** Who has displaced another one, the last at the end. */
  readonly instances: Set<string>
  returns: number
  contended: boolean
  refusals: number
  /** When somebody last came, or may come again after having been put off. */
  lastSeenAt: number
}

export class Contention {
  readonly #options: ContentionOptions
  readonly #fights = new Map<TokenId, Fight>()

  constructor(options: ContentionOptions) {
    this.#options = options
  }

  /**
   * A session of this token was displaced by one of `instanceId`. Answers whether that has just made the token
   * contended.
   */
  displaced(token: AuthenticatedToken, instanceId: string | undefined, now: number): boolean {
    const fight = this.#fights.get(token.tokenId) ?? {
      token,
      displacedAt: [],
      instances: new Set<string>(),
      returns: 0,
      contended: false,
      refusals: 0,
      lastSeenAt: now
    }
    this.#fights.set(token.tokenId, fight)
    fight.lastSeenAt = now
    fight.displacedAt = [...fight.displacedAt.filter((at) => now - at < this.#options.withinMillis), now]
    if (instanceId !== undefined) this.#came(fight, instanceId)
    const isFought =
      fight.displacedAt.length >= this.#options.fights || fight.returns >= this.#options.returns
    if (fight.contended || !isFought) return false
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
    const delay = Math.min(
      this.#options.firstDelayMillis * 2 ** fight.refusals++,
      this.#options.maxDelayMillis
    )
    fight.lastSeenAt = now + delay
    return delay
  }

  /** Forgets what is calm; answers the tokens that are no longer contended. */
  settle(now: number): ReadonlyArray<AuthenticatedToken> {
    const calm = Array.from(this.#fights.values()).filter((fight) => this.#isCalm(fight, now))
    for (const { token } of calm) this.#fights.delete(token.tokenId)
    return calm.filter((fight) => fight.contended).map(({ token }) => token)
  }

  #came(fight: Fight, instanceId: string): void {
    const { instances } = fight
    const last = Array.from(instances).at(-1)
    // It was displaced in between: who is back by itself was the last.
    if (last !== instanceId && instances.delete(instanceId)) fight.returns++
    instances.add(instanceId)
    for (const oldest of instances) {
      if (instances.size <= MAX_INSTANCES) break
      instances.delete(oldest)
    }
  }

  #isCalm(fight: Fight, now: number): boolean {
    return now - fight.lastSeenAt >= Math.max(this.#options.calmMillis, this.#options.withinMillis)
  }
}
