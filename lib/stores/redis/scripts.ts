import { createHash } from 'node:crypto'

/** A Lua script, and the name by which a server that has seen it knows it. */
export interface RedisScript {
  readonly source: string
  readonly sha: string
}

function script (source: string): RedisScript {
  return Object.freeze({ source, sha: createHash('sha1').update(source).digest('hex') })
}

/**
 * The fields of a session's hash, in the order in which they are read. An empty string stands for `null`. `document` is JSON
 * that no script looks into: Lua would turn `[]` into `{}`.
 */
export const sessionFields = [
  'identity', 'version', 'generation', 'used', 'staleBefore', 'tokenId', 'previousTokenId', 'rotatedAt', 'expiresAt', 'document'
] as const

// Times and lives are milliseconds. A life that is there already is only ever lengthened.
//
// A Redis that is out of memory refuses the first command of a script that may need more, and no later one. So what must be
// the last to fail (revoking, and rotating what is there) begins with a command that needs none; a login begins with HSET.

const timeOfServer = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local time = string.format('%.0f', now)`

/** KEYS: the denial. ARGV: its life. */
export const denyScript = script(`
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end`)

/**
 * KEYS: the sessions of an identity by creation, and by expiry. ARGV: the session, when it was created and expires, the life of
 * the lists, the time up to which sessions have expired for certain, how many there may be ('' for any number), and what
 * happens to one too many. Answers whether the session is listed, and which ones have to end for it.
 */
export const listScript = script(`
local expired = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[5], 'LIMIT', 0, 1000)
for _, id in ipairs(expired) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
local ended = {}
if ARGV[6] ~= '' and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  local surplus = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[6])
  if surplus >= 0 then
    if ARGV[7] == 'refuse' then return {0} end
    ended = redis.call('ZRANGE', KEYS[1], 0, surplus)
    for _, id in ipairs(ended) do
      redis.call('ZREM', KEYS[1], id)
      redis.call('ZREM', KEYS[2], id)
    end
  end
end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZADD', KEYS[2], 'GT', ARGV[3], ARGV[1])
for _, key in ipairs(KEYS) do
  if redis.call('PTTL', key) < tonumber(ARGV[4]) then redis.call('PEXPIRE', key, ARGV[4]) end
end
return {1, unpack(ended)}`)

/** KEYS: the session, its denial. ARGV: its life, then field and value in turn. Answers whether it was created. */
export const createScript = script(`
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1`)

/** KEYS: the session. Answers the server's time and the session's fields. */
export const readScript = script(`${timeOfServer}
return {time, redis.call('HMGET', KEYS[1], '${sessionFields.join("', '")}')}`)

/**
 * KEYS: the session. ARGV: the server's time after which nobody waits for the answer, the version that was read, the new life
 * ('' for the old one), whether this is a rotation, then field and value in turn. Answers whether it was changed, and the time.
 */
export const replaceScript = script(`${timeOfServer}
if now > tonumber(ARGV[1]) then return {'late', time} end
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[2] then return {'changed', time} end
redis.call('PEXPIRE', KEYS[1], ARGV[3] == '' and redis.call('PTTL', KEYS[1]) or ARGV[3])
redis.call('HINCRBY', KEYS[1], 'version', 1)
if ARGV[4] == '1' then redis.call('HSET', KEYS[1], 'rotatedAt', time) end
if #ARGV > 4 then redis.call('HSET', KEYS[1], unpack(ARGV, 5)) end
return {'replaced', time}`)

/**
 * KEYS: the session, its denial. ARGV: the caller's time, how much longer than its expiry a key is kept, the life of what has
 * no end, and the life of a denial without a record ('' for none). Answers whose session it was.
 */
export const endScript = script(`
local old = redis.call('HMGET', KEYS[1], 'identity', 'expiresAt')
local life = tonumber(ARGV[4])
if old[1] then
  life = tonumber(ARGV[3])
  if old[2] ~= '' then life = math.max(1, tonumber(old[2]) - ARGV[1] + ARGV[2]) end
end
redis.call('DEL', KEYS[1])
if life and redis.call('PTTL', KEYS[2]) < life then
  redis.call('SET', KEYS[2], '1', 'PX', string.format('%.0f', life))
end
if old[1] and (old[2] == '' or tonumber(old[2]) > tonumber(ARGV[1])) then return {1, old[1]} end
return {0}`)

/** KEYS: any. Does once what the other scripts do, and leaves nothing. Answers the server's time. */
export const probeScript = script(`${timeOfServer}
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], 'GT', 1, 'probe')
redis.call('ZSCORE', KEYS[1], 'probe')
redis.call('ZCARD', KEYS[1])
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
