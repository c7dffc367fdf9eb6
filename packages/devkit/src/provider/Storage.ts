import type { Adapter, AdapterPayload } from "oidc-provider"

/** What one run of the provider keeps; far more than anyone signs in by hand, and a bound all the same. */
const maxEntries = 100_000

interface Entry {
  readonly payload: AdapterPayload
  /** Milliseconds since 1970; null: never. */
  readonly expiresAt: number | null
}

/** All kinds of records, oldest first. */
export type Entries = Map<string, Entry>

/**
 * The provider's state, in memory; `onChange` is told of every change to `entries`.
 *
 * `now`: milliseconds since 1970.
 */
export const makeStorage = (
  now: () => number,
  entries: Entries,
  onChange: () => void
): ((kind: string) => Adapter) => {
  const isLive = ({ expiresAt }: Entry) => expiresAt === null || expiresAt > now()
  // Most of what a former run has left is never asked for again.
  for (const [key, entry] of entries) if (!isLive(entry)) entries.delete(key)

  const live = (key: string): Entry | undefined => {
    const entry = entries.get(key)
    if (entry === undefined || isLive(entry)) return entry
    entries.delete(key)
    return undefined
  }

  const findWhere = (kind: string, test: (payload: AdapterPayload) => boolean) => {
    for (const [key, { payload }] of entries) {
      if (key.startsWith(`${kind}:`) && test(payload)) return live(key)?.payload
    }
    return undefined
  }

  return (kind) => ({
    upsert: async (id, payload, expiresIn) => {
      const key = `${kind}:${id}`
      entries.delete(key)
      entries.set(key, {
        payload,
        expiresAt: expiresIn === undefined ? null : now() + expiresIn * 1000
      })
      for (const oldest of entries.keys()) {
        if (entries.size <= maxEntries) break
        entries.delete(oldest)
      }
      onChange()
    },
    find: async (id) => live(`${kind}:${id}`)?.payload,
    findByUid: async (uid) => findWhere(kind, (payload) => payload.uid === uid),
    findByUserCode: async (userCode) => findWhere(kind, (payload) => payload.userCode === userCode),
    consume: async (id) => {
      const entry = live(`${kind}:${id}`)
      if (entry === undefined) return
      entry.payload.consumed = Math.floor(now() / 1000)
      onChange()
    },
    destroy: async (id) => {
      entries.delete(`${kind}:${id}`)
      onChange()
    },
    revokeByGrantId: async (grantId) => {
      for (const [key, { payload }] of entries) {
        if (key.startsWith(`${kind}:`) && payload.grantId === grantId) entries.delete(key)
      }
      onChange()
    }
  })
}
