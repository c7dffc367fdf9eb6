import type { Adapter, AdapterPayload } from "oidc-provider"

/** What one run of the provider keeps; far more than anyone signs in by hand, and a bound all the same. */
const maxEntries = 100_000

interface Entry {
  readonly payload: AdapterPayload
  readonly expiresAt: number
}

/**
 * The provider's state, in memory and gone with it. One map for all its kinds of records, oldest first.
 *
 * `now`: milliseconds since 1970.
 */
export const makeStorage = (now: () => number): ((kind: string) => Adapter) => {
  const entries = new Map<string, Entry>()

  const live = (key: string): Entry | undefined => {
    const entry = entries.get(key)
    if (entry === undefined || entry.expiresAt > now()) return entry
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
        expiresAt: expiresIn === undefined ? Number.POSITIVE_INFINITY : now() + expiresIn * 1000
      })
      for (const oldest of entries.keys()) {
        if (entries.size <= maxEntries) break
        entries.delete(oldest)
      }
    },
    find: async (id) => live(`${kind}:${id}`)?.payload,
    findByUid: async (uid) => findWhere(kind, (payload) => payload.uid === uid),
    findByUserCode: async (userCode) => findWhere(kind, (payload) => payload.userCode === userCode),
    consume: async (id) => {
      const entry = live(`${kind}:${id}`)
      if (entry !== undefined) entry.payload.consumed = Math.floor(now() / 1000)
    },
    destroy: async (id) => {
      entries.delete(`${kind}:${id}`)
    },
    revokeByGrantId: async (grantId) => {
      for (const [key, { payload }] of entries) {
        if (key.startsWith(`${kind}:`) && payload.grantId === grantId) entries.delete(key)
      }
    }
  })
}
