/** Something that looks at its own deadlines when asked. */
export interface Watched {
  readonly check: (now: number) => void
}

/** What a session needs of time. Tests bring their own. */
export interface Timers {
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number
  /** Calls back once, unless cancelled by what it answers. Never keeps the process alive. */
  readonly after: (millis: number, callback: () => void) => () => void
  /** Has `check` called every `TICK_MILLIS`, until it is no longer watched. */
  readonly watch: (watched: Watched) => void
  readonly unwatch: (watched: Watched) => void
}

/** How late a session may notice a passed deadline. They are of seconds and minutes. */
export const TICK_MILLIS = 500

/** One interval for all sessions of the process, and only while there are any with a deadline. */
const watching = new Set<Watched>()
let ticking: NodeJS.Timeout | undefined = undefined

const tick = (): void => {
  const now = performance.now()
  for (const watched of watching) watched.check(now)
  // Looked at here alone: whoever is watched for one tick, time and again, should not cost a timer each time.
  if (watching.size > 0) return
  clearInterval(ticking)
  ticking = undefined
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  after: (millis, callback) => {
    const timer = setTimeout(callback, millis)
    timer.unref()
    return () => clearTimeout(timer)
  },
  watch: (watched) => {
    watching.add(watched)
    if (ticking !== undefined) return
    ticking = setInterval(tick, TICK_MILLIS)
    ticking.unref()
  },
  unwatch: (watched) => {
    watching.delete(watched)
  }
}
