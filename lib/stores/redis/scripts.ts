import { createHash } from 'node:crypto'

/** A Lua script, and its SHA-1 for EVALSHA. */
export interface RedisScript {
  readonly source: string
  readonly sha: string
}

function script (source: string): RedisScript {
  return Object.freeze({ source, sha: createHash('sha1').update(source).digest('hex') })
}

/**
 * The fields of a session's hash, in the order in which they are read. An empty string stands for `null`. `document` is JSON
 * that no script decodes: Lua would turn `[]` into `{}`.
 */
export const sessionFields = [
  'identity', 'version', 'generation', 'used', 'staleBefore', 'tokenId', 'previousTokenId', 'rotatedAt', 'expiresAt', 'document'
] as const

// Times and TTLs are milliseconds. The TTL of a denial or a list is never shortened.
//
// If Redis is out of memory, it refuses a command that may need more memory, unless the script has written already. So revocation and
// rotation, which must be the last to fail, begin with a write that needs no memory. A login begins with HSET.

const timeOfServer = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local time = string.format('%.0f', now)`

/** Milliseconds for which the keys of the feed stay after the last replicating server is gone. */
export const feedLife = 86_400_000

/*
 * publish(first, member, life, server): KEYS[first] and the next one are the feed and the live denials. Without them, or without a feed,
 * no server replicates. A publication names its position and the previous one, so that a lost one is noticed. A position contains the
 * time, so this also works after a failover or FLUSHALL. If an ACL forbids PUBLISH, the position still changes.
 */
const publish = `
local function publish (first, member, life, server)
  local feed, live = KEYS[first], KEYS[first + 1]
  local known = feed and redis.call('HMGET', feed, 'id', 'place', 'channel') or {}
  if not known[1] then return end
  local clock = redis.call('TIME')
  local place = redis.call('HINCRBY', feed, 'count', 1) .. '-' .. clock[1] .. '-' .. clock[2]
  redis.call('HSET', feed, 'place', place)
  redis.call('ZADD', live, 'GT', string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000) + life), member)
  redis.call('PEXPIRE', feed, ${feedLife})
  redis.call('PEXPIRE', live, ${feedLife})
  redis.pcall('PUBLISH', known[3], table.concat({'denied', known[1], known[2], place, server, string.format('%.0f', life), member}, ' '))
end`

/**
 * KEYS: the denial, the feed. ARGV: its TTL, its name in the feed, the server that denies, when the denial ends. If that server's clock
 * is ahead, its TTL is too short, and a revoked token would pass again. So the TTL by the clock of Redis is used if it is longer, by at
 * most a day.
 */
export const denyScript = script(`${timeOfServer}${publish}
local life = tonumber(ARGV[1])
life = math.max(life, math.min(ARGV[4] - now, life + 86400000))
if redis.call('PTTL', KEYS[1]) < life then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], '1', 'PX', string.format('%.0f', life))
  publish(2, ARGV[2], life, ARGV[3])
end`)

/**
 * Sends a mark, and creates the feed if there is none. KEYS: the feed, the live denials. ARGV: the channel of the requesting server, the
 * name of the mark, the id of a new feed, the channel of denials, the caller's time. Also removes up to 1,000 expired denials.
 *
 * The creation time of a feed is compared with the time of tokens, which the servers set. So the later of both clocks is used.
 */
export const markScript = script(`${timeOfServer}
local feed = redis.call('HMGET', KEYS[1], 'id', 'place', 'born')
if not feed[1] then
  feed = {ARGV[3], '0-' .. time, string.format('%.0f', math.max(now, ARGV[5]))}
  redis.call('HSET', KEYS[1], 'id', feed[1], 'place', feed[2], 'born', feed[3], 'channel', ARGV[4])
end
if redis.call('PTTL', KEYS[1]) < ${feedLife / 2} then
  redis.call('PEXPIRE', KEYS[1], ${feedLife})
  redis.call('PEXPIRE', KEYS[2], ${feedLife})
end
local expired = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', time, 'LIMIT', 0, 1000)
if expired[1] then redis.call('ZREM', KEYS[2], unpack(expired)) end
redis.call('PUBLISH', ARGV[1], table.concat({'mark', ARGV[2], feed[1], feed[2], feed[3], time}, ' '))`)

/**
 * Lists a session. KEYS: the sessions of an identity by creation, and by expiry. ARGV: the session, its creation time, its expiry,
 * the TTL of the lists, the time up to which sessions have certainly expired, the limit ('' for none), and what to do if it is
 * reached. Returns whether the session is listed, and which sessions must end for it.
 *
 * A session that must end stays on the list with the creation time 0, and no longer counts. The caller ends and unlists it. If the reply
 * is lost, it can still be listed and ended, and each later login ends up to 10 of them. Of a larger surplus, a login ends up to 1,000.
 */
export const listScript = script(`${timeOfServer}
local expired = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', math.min(ARGV[5], now), 'LIMIT', 0, 1000)
for _, id in ipairs(expired) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
local ended = {}
if ARGV[6] ~= '' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  local surplus = redis.call('ZCOUNT', KEYS[1], '(0', '+inf') - tonumber(ARGV[6])
  if surplus >= 0 and ARGV[7] == 'refuse' then return {0} end
  ended = redis.call('ZRANGEBYSCORE', KEYS[1], 0, 0, 'LIMIT', 0, 10)
  if surplus >= 0 then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(0', '+inf', 'LIMIT', 0, math.min(surplus + 1, 1000))) do
      redis.call('ZADD', KEYS[1], 0, id)
      table.insert(ended, id)
    end
  end
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[2], 'GT', ARGV[3], ARGV[1])
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < tonumber(ARGV[4]) then redis.call('PEXPIRE', key, ARGV[4]) end
end
return {1, unpack(ended)}`)

/**
 * Lists a session with its new expiry. KEYS: the sessions of an identity by creation, and by expiry. ARGV: the session, when it was created
 * and expires, the TTL of the lists. PEXPIRE comes first, since it needs no memory, and again for a list that was not there.
 */
export const extendScript = script(`
local function keep (key)
  redis.call('PEXPIRE', key, math.max(redis.call('PTTL', key), tonumber(ARGV[4])))
end
for index, key in ipairs(KEYS) do
  keep(key)
  redis.call('ZADD', key, index == 1 and 'NX' or 'GT', ARGV[index + 1], ARGV[1])
  keep(key)
end`)

/** KEYS: the session, its denial. ARGV: its TTL, then alternating fields and values. Returns whether it was created. */
export const createScript = script(`
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`)

/** KEYS: the session. Returns the server's time and the session's fields. */
export const readScript = script(`${timeOfServer}
return {time, redis.call('HMGET', KEYS[1], '${sessionFields.join("', '")}')}`)

/**
 * KEYS: the session, the feed. ARGV: the deadline by the server's clock, the version that was read, the new TTL ('' for the old one),
 * whether this is a rotation, the new stale mark ('' for none), the session's name in the feed, then alternating fields and values.
 * Returns `replaced`, `late` or `changed` (by another request), and the time.
 */
export const replaceScript = script(`${timeOfServer}${publish}
if now > tonumber(ARGV[1]) then return {'late', time} end
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[2] then return {'changed', time} end
redis.call('PEXPIRE', KEYS[1], ARGV[3] == '' and redis.call('PTTL', KEYS[1]) or ARGV[3])
redis.call('HINCRBY', KEYS[1], 'version', 1)
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'rotatedAt', time) end
if ARGV[5] ~= '' and tonumber(ARGV[5]) > tonumber(redis.call('HGET', KEYS[1], 'staleBefore')) then
  publish(2, 'stale:' .. ARGV[5] .. ':' .. ARGV[6], redis.call('PTTL', KEYS[1]), '-')
end
if #ARGV > 6 then redis.call('HSET', KEYS[1], unpack(ARGV, 7)) end
return {'replaced', time}`)

/**
 * KEYS: the session, its denial, the feed. ARGV: the caller's time, the clock skew, the TTL of a denial without end, the TTL of a
 * tombstone if there is no record ('' for none), its name in the feed, the server that ends it. Returns 1 and the identity of a live
 * session, or 0.
 */
export const endScript = script(`${publish}
local old = redis.call('HMGET', KEYS[1], 'identity', 'expiresAt')
local life = tonumber(ARGV[4])
if old[1] then
  life = tonumber(ARGV[3])
  if old[2] ~= '' then life = math.max(1, tonumber(old[2]) - ARGV[1] + ARGV[2]) end
end
redis.call('DEL', KEYS[1])
if life and redis.call('PTTL', KEYS[2]) < life then
  redis.call('SET', KEYS[2], '1', 'PX', string.format('%.0f', life))
  publish(3, ARGV[5], life, ARGV[6])
end
if old[1] and (old[2] == '' or tonumber(old[2]) > tonumber(ARGV[1])) then return {1, old[1]} end
return {0}`)

/** KEYS: any. Runs the commands of the other scripts once, except PUBLISH, and leaves nothing. Returns the server's time. */
export const probeScript = script(`${timeOfServer}
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], 'GT', 1, 'probe')
redis.call('ZSCORE', KEYS[1], 'probe')
redis.call('ZCOUNT', KEYS[1], '-inf', '+inf')
redis.call('ZRANGE', KEYS[1], 0, 0)
redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', 0, 'LIMIT', 0, 1)
redis.call('ZREM', KEYS[1], 'probe')
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'probe', '1')
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('HGET', KEYS[1], 'probe')
redis.call('HMGET', KEYS[1], 'probe')
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '1', 'PX', 1000)
redis.call('PTTL', KEYS[1])
redis.call('EXISTS', KEYS[1])
redis.call('DEL', KEYS[1])
return time`)
