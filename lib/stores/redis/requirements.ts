import { badOption, isJwtError } from '../../errors.ts'
import { probeScript } from './scripts.ts'
import type { RedisConnection } from './client.ts'
import type { RedisKeys } from './keys.ts'
import type { JwtError } from '../../types/errors.ts'

/** How many keys to probe: enough for a Cluster to answer `MOVED` to a client that is not a Cluster client. */
const probes = 16

/** The code of a Redis error: its first word, by the protocol. */
export function redisErrorCode (error: unknown): string {
  return error instanceof Error ? error.message.replace(/ .*/s, '') : ''
}

function refusal (problem: string, cause: unknown): JwtError {
  const error = badOption('store', problem)
  error.cause = cause
  return error
}

function reasonOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

async function checkAnswers (connection: RedisConnection, keys: RedisKeys): Promise<void> {
  await Promise.all(Array.from({ length: probes }, async (_, index) => {
    const key = keys.probe(index)
    return connection.send(key, 'EXISTS', [key])
  }))
}

function checkInfo (info: Map<string, string>, allowEviction: boolean): void {
  const version = info.get('redis_version') ?? 'unknown'
  const [major = NaN, minor = 0] = version.split('.').map(Number)
  if (major < 6 || (major === 6 && minor < 2)) {
    throw badOption('store', `needs Redis 6.2 or Valkey 7.2, but this is Redis ${version}`)
  }
  if (info.get('role') === 'slave') {
    throw badOption('store', 'is a replica; connect RedisStore to the primary, or by Sentinel or Cluster')
  }
  const policy = info.get('maxmemory_policy') ?? 'noeviction'
  if (policy !== 'noeviction' && !allowEviction) {
    throw badOption('store', `may forget revocations: its maxmemory-policy is ${policy}, and an evicted ` +
      "revocation lets a revoked token pass. Set it to 'noeviction' (CONFIG SET maxmemory-policy " +
      'noeviction, or the parameter group of a hosted Redis), or accept that with the allowEviction ' +
      'option of RedisStore')
  }
}

/** Checks version, role and eviction policy of each primary. @throws `FST_JWT_BAD_OPTION` */
export async function checkServers (connection: RedisConnection, allowEviction: boolean): Promise<void> {
  await Promise.all((await connection.primaries()).map(async send => {
    let reply: unknown
    try {
      reply = await send('INFO', [])
    } catch {
      // A hosted Redis or an ACL may forbid INFO. `checkScripts` tries what must work.
      return
    }
    checkInfo(new Map(String(reply).split('\r\n').map(line => line.split(':', 2) as [string, string])), allowEviction)
  }))
}

/** @returns The time on the server's clock, in milliseconds since the epoch. */
async function checkScripts (connection: RedisConnection, keys: RedisKeys): Promise<number> {
  try {
    const key = keys.probe(0)
    return Number(await connection.send(key, 'EVAL', [probeScript.source, '1', key]))
  } catch (error) {
    throw refusal(`must be allowed to write, with EVAL and EVALSHA, under its prefix: ${reasonOf(error)}`, error)
  }
}

/**
 * Checks that a server answers and supports what the store needs.
 *
 * @returns The time on the server's clock, in milliseconds since the epoch.
 * @throws `FST_JWT_BAD_OPTION` with what is missing and the remedy.
 */
export async function checkRequirements (
  connection: RedisConnection, keys: RedisKeys, allowEviction: boolean,
  inTime: <T>(step: () => Promise<T>) => Promise<T>
): Promise<number> {
  try {
    await inTime(() => checkAnswers(connection, keys))
    await inTime(() => checkServers(connection, allowEviction))
    return await inTime(() => checkScripts(connection, keys))
  } catch (error) {
    if (isJwtError(error)) throw error
    throw redisErrorCode(error) === 'MOVED'
      ? refusal('is a node of a Redis Cluster; give RedisStore a Cluster client', error)
      : refusal(`got no answer from Redis; check that it is reachable, and that a client of node-redis is connected: ${reasonOf(error)}`, error)
  }
}
