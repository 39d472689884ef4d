import { randomBytes } from 'node:crypto'

/** What the environment says, checked once. */
export interface Config {
  port: number
  host: string
  logLevel: string
  /** Signs the tokens. One for all processes that share logins. */
  secretKey: string | Buffer
  /** Where sessions and accounts are kept; `null` for this process's memory. */
  redisUrl: string | null
  /** Addresses of the proxy that ends TLS in front of this process; `null` for plain HTTP, on localhost. */
  trustProxy: string | null
  /** Life of an access token, in seconds. */
  accessExpires: number
  /** How long a refresh token that was just replaced still gets its successor, in seconds. */
  reuseInterval: number
  /** How often one address may try a password, per minute. */
  attemptsPerMinute: number
}

/** @throws {Error} That names the variable and what it takes. */
export function readConfig (env: NodeJS.ProcessEnv): Config {
  const redisUrl = env['REDIS_URL'] || null
  const secret = env['JWT_SECRET_KEY'] || null
  if (redisUrl !== null && secret === null) {
    throw new Error('JWT_SECRET_KEY must be set with REDIS_URL, to 32 random bytes or more, or the sessions kept there could not be used after a restart')
  }
  return {
    port: count(env, 'PORT', 3000),
    host: env['HOST'] || '127.0.0.1',
    logLevel: env['LOG_LEVEL'] || 'warn',
    secretKey: secret ?? randomBytes(32),
    redisUrl,
    trustProxy: env['TRUST_PROXY'] || null,
    accessExpires: count(env, 'ACCESS_EXPIRES', 15 * 60),
    reuseInterval: count(env, 'REUSE_INTERVAL', 10),
    attemptsPerMinute: count(env, 'ATTEMPTS_PER_MINUTE', 10)
  }
}

function count (env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const value = env[name] || String(fallback)
  if (!/^\d{1,9}$/.test(value)) throw new Error(`${name} takes a whole number, and not '${value}'`)
  return Number(value)
}
