import { createHash } from 'node:crypto'

/** A Lua script, and the SHA-1 for `EVALSHA`. */
export interface RedisScript {
  readonly source: string
  readonly sha: string
}

function script (source: string): RedisScript {
  return Object.freeze({ source, sha: createHash('sha1').update(source).digest('hex') })
}

/**
 * The fields of a session's hash, in the order in which they are read. An empty string stands for `null`. `claims` and
 * `metadata` are JSON. No script parses them, since Lua would turn `[]` into `{}`.
 */
export const sessionFields = [
  'identity', 'createdAt', 'lastUsedAt', 'expiresAt', 'accessExpiresAt', 'tokenId', 'issuedAt',
  'tokenExpiresAt', 'salt', 'previousTokenId', 'rotatedAt', 'claims', 'metadata'
] as const

// Times are milliseconds since the epoch, TTLs are milliseconds. A TTL is never shortened.

/** KEYS: the denial. ARGV: its TTL. */
export const denyScript = script(`
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end`)

/** KEYS: the session. ARGV: its TTL, then fields and values in turn. */
export const createScript = script(`
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])`)

/**
 * KEYS: the list of an identity's sessions. ARGV: the session, when it expires, its TTL, and the time before which every
 * session on the list has expired.
 */
export const listScript = script(`
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[4])
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end`)

/**
 * KEYS: the session. ARGV: the caller's deadline by the clock of the server ('' if unknown), the presented token, the
 * caller's time, the reuse interval, the session's TTL, and the new values. Returns the outcome, the server's time, and the
 * session's fields.
 */
export const rotateScript = script(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local time = string.format('%.0f', now)
if ARGV[1] ~= '' and now > tonumber(ARGV[1]) then return {'late', time} end
local old = redis.call('HMGET', KEYS[1], 'tokenId', 'previousTokenId', 'rotatedAt', 'expiresAt', 'accessExpiresAt')
if not old[1] or (old[4] ~= '' and tonumber(old[4]) <= tonumber(ARGV[3])) then return {'unknown', time} end
local outcome = 'reused'
if ARGV[2] == old[1] then
  outcome = 'rotated'
  local access = ARGV[7]
  if old[5] == '' or access == '' then
    access = ''
  elseif tonumber(old[5]) > tonumber(access) then
    access = old[5]
  end
  redis.call('HSET', KEYS[1], 'lastUsedAt', ARGV[3], 'expiresAt', ARGV[6], 'accessExpiresAt', access,
    'tokenId', ARGV[8], 'issuedAt', ARGV[9], 'tokenExpiresAt', ARGV[10], 'salt', ARGV[11],
    'previousTokenId', ARGV[2], 'rotatedAt', time)
  if ARGV[12] ~= '' then redis.call('HSET', KEYS[1], 'claims', ARGV[12]) end
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
elseif ARGV[2] == old[2] and old[3] ~= '' and now - tonumber(old[3]) < tonumber(ARGV[4]) then
  outcome = 'repeated'
end
return {outcome, time, redis.call('HMGET', KEYS[1], '${sessionFields.join("', '")}')}`)

/**
 * KEYS: the session, its denial. ARGV: the TTL of the denial, the TTL of a denial without end, the caller's time, and how
 * much longer than its expiry a key is kept. Returns whether the session was live, and its identity.
 */
export const endScript = script(`
local old = redis.call('HMGET', KEYS[1], 'identity', 'expiresAt', 'accessExpiresAt')
local life = tonumber(ARGV[1])
if old[1] then
  if old[3] == '' then
    life = tonumber(ARGV[2])
  else
    life = math.max(life, tonumber(old[3]) - ARGV[3] + ARGV[4])
  end
  redis.call('DEL', KEYS[1])
end
if redis.call('PTTL', KEYS[2]) < life then
  redis.call('SET', KEYS[2], '1', 'PX', string.format('%.0f', life))
end
if old[1] and (old[2] == '' or tonumber(old[2]) > tonumber(ARGV[3])) then return {1, old[1]} end
return {0}`)

/** KEYS: any. Calls every command of the other scripts once, and leaves nothing behind. */
export const probeScript = script(`
redis.call('TIME')
redis.call('ZADD', KEYS[1], 'GT', 1, 'probe')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', 0)
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'probe', '1')
redis.call('HMGET', KEYS[1], 'probe')
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], '1', 'PX', 1000)
redis.call('PTTL', KEYS[1])
redis.call('DEL', KEYS[1])
return 'able'`)
