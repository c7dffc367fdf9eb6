import { Redis } from "effect/persistence"

/**
 * What the session directory does in Redis, each in one step.
 *
 * `{prefix}fence` is the last fencing number; `{prefix}proxies` has each living proxy, scored by when its lease
 * ends; `{prefix}proxy:ID` is that proxy's lease itself, a hash of its internal address and of the edges it holds,
 * each with its number. All that a proxy holds therefore lives and goes with one key, which a beat renews in one
 * write. Keys are made in the scripts: a prefix in braces keeps them in one slot of a Redis Cluster.
 */

/** Microseconds of Redis's own clock: proxies need not agree on the time. */
const head = `
local prefix, id = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function text(number) return string.format('%.0f', number) end
local function leaseOf(proxy) return prefix .. 'proxy:' .. proxy end
local function living() return redis.call('ZRANGEBYSCORE', prefix .. 'proxies', text(now), '+inf') end
local function lastFence() return tonumber(redis.call('GET', prefix .. 'fence') or '0') end
local mine = leaseOf(id)
`

/** Begins or goes on with a lease. Answers whether it stood, the last fencing number, and the time. */
export const renew = Redis.script(
  (prefix: string, proxy: string, proxyUrl: string, leaseMillis: number) => [
    prefix,
    proxy,
    proxyUrl,
    leaseMillis
  ],
  {
    numberOfKeys: 1,
    lua: `${head}
local stood = redis.call('HSET', mine, 'url', ARGV[2]) == 0
redis.call('PEXPIRE', mine, ARGV[3])
redis.call('ZREMRANGEBYSCORE', prefix .. 'proxies', '-inf', '(' .. text(now))
redis.call('ZADD', prefix .. 'proxies', text(now + ARGV[3] * 1000), id)
return { stood and 1 or 0, lastFence(), now }`
  }
).withReturnType<readonly [stood: number, lastFence: number, now: number]>()

/** Ends a lease, and with it all that the proxy holds. */
export const leave = Redis.script((prefix: string, proxy: string) => [prefix, proxy], {
  numberOfKeys: 1,
  lua: `${head}
redis.call('ZREM', prefix .. 'proxies', id)
redis.call('DEL', mine)`
})

/**
 * Answers the fencing number: 0 where the lease does not stand, -1 where it is later than the proxy waits, so that
 * a claim that nobody waits for any more displaces nobody. The number is counted on, and never behind the clock:
 * it is greater than every earlier one also when Redis has lost its memory, or its last writes.
 */
export const claim = Redis.script(
  (prefix: string, proxy: string, edgeId: string, channel: string, deadline: number) => [
    prefix,
    proxy,
    edgeId,
    channel,
    deadline
  ],
  {
    numberOfKeys: 1,
    lua: `${head}
local edge = ARGV[2]
if now > tonumber(ARGV[4]) then return -1 end
if redis.call('HEXISTS', mine, 'url') == 0 then return 0 end
local previous = lastFence()
local fence = redis.call('INCR', prefix .. 'fence')
if fence < now then
  fence = now
  redis.call('SET', prefix .. 'fence', text(fence))
end
for _, other in ipairs(living()) do
  if other ~= id then redis.call('HDEL', leaseOf(other), edge) end
end
redis.call('HSET', mine, edge, text(fence))
redis.call('PUBLISH', ARGV[3], table.concat({ edge, text(fence), text(previous), id }, ' '))
return fence`
  }
).withReturnType<number>()

/** Answers 1 where the claim was the current one, and is now gone. */
export const release = Redis.script(
  (prefix: string, proxy: string, edgeId: string, fence: number) => [prefix, proxy, edgeId, fence],
  {
    numberOfKeys: 1,
    lua: `${head}
if redis.call('HGET', mine, ARGV[2]) ~= ARGV[3] then return 0 end
return redis.call('HDEL', mine, ARGV[2])`
  }
).withReturnType<number>()

/**
 * Says again what a proxy holds, after Redis or the proxy may have missed something. Answers the last fencing
 * number, then edge and number of each newer claim; no more than that where the lease does not stand.
 */
export const hold = Redis.script(
  (prefix: string, proxy: string, held: ReadonlyArray<readonly [edgeId: string, fence: number]>) => [
    prefix,
    proxy,
    ...held.flat()
  ],
  {
    numberOfKeys: 1,
    lua: `${head}
local answer = { text(lastFence()) }
if redis.call('HEXISTS', mine, 'url') == 0 then return { '-1' } end
local others = living()
for i = 2, #ARGV, 2 do
  local edge, fence, newest = ARGV[i], tonumber(ARGV[i + 1]), 0
  for _, other in ipairs(others) do
    if other ~= id then
      local theirs = tonumber(redis.call('HGET', leaseOf(other), edge) or '0')
      if theirs < fence then redis.call('HDEL', leaseOf(other), edge) end
      newest = math.max(newest, theirs)
    end
  end
  if newest > fence then
    redis.call('HDEL', mine, edge)
    table.insert(answer, edge)
    table.insert(answer, text(newest))
  elseif tonumber(redis.call('HGET', mine, edge) or '0') < fence then
    redis.call('HSET', mine, edge, ARGV[i + 1])
  end
end
return answer`
  }
).withReturnType<ReadonlyArray<string>>()

/** The internal address of the living proxy that holds the edge under the greatest number. */
export const locate = Redis.script((prefix: string, edgeId: string) => [prefix, edgeId], {
  numberOfKeys: 1,
  lua: `${head}
local edge, newest, url = ARGV[1], 0, false
for _, proxy in ipairs(living()) do
  local fence = tonumber(redis.call('HGET', leaseOf(proxy), edge) or '0')
  if fence > newest then
    newest = fence
    url = redis.call('HGET', leaseOf(proxy), 'url')
  end
end
return url`
}).withReturnType<string | null>()

/** The internal addresses of all living proxies; one twice where it has just been started anew. */
export const proxies = Redis.script((prefix: string) => [prefix, ""], {
  numberOfKeys: 1,
  lua: `${head}
local urls = {}
for _, proxy in ipairs(living()) do
  local url = redis.call('HGET', leaseOf(proxy), 'url')
  if url then table.insert(urls, url) end
end
return urls`
}).withReturnType<ReadonlyArray<string>>()
