// All settings from the environment, checked once, so that a mistake stops the start and not the first login.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Config {
  host: string
  port: number
  production: boolean
  /** A long random string, the same for all processes: `node -p "crypto.randomBytes(64).toString('base64')"`. */
  secretKey: string
  /** Certificate and key, if this process ends TLS itself. */
  tls: { key: Buffer, cert: Buffer } | null
  /** Whether a proxy in front ends TLS and sets X-Forwarded-*; an address or a range of it. */
  trustProxy: string | false
  /** Where users, sessions and counters are kept if there are several machines; `null` for the file. */
  redisUrl: string | null
  /** The SQLite file of users and sessions, for one machine. */
  databaseFile: string
  /** An account that is created if it does not exist, so that somebody can promote others. */
  admin: { email: string, password: string } | null
}

const secretCommand = 'node -p "crypto.randomBytes(64).toString(\'base64\')"'

export function readConfig (env: NodeJS.ProcessEnv): Config {
  const need = (name: string, why: string): string => {
    const value = env[name]
    if (value === undefined || value === '') throw new Error(`${name} is not set: ${why}`)
    return value
  }
  const production = env['NODE_ENV'] === 'production'

  const secretKey = need('JWT_SECRET_KEY', `make one with ${secretCommand}, and keep it out of the code`)
  if (secretKey.length < 64) throw new Error(`JWT_SECRET_KEY is too short: make one with ${secretCommand}`)

  const tls = env['TLS_CERT_FILE'] === undefined
    ? null
    : { cert: readFileSync(env['TLS_CERT_FILE']), key: readFileSync(need('TLS_KEY_FILE', 'it belongs to TLS_CERT_FILE')) }
  const trustProxy = env['TRUST_PROXY'] ?? false
  const redisUrl = env['REDIS_URL'] ?? null
  if (production && tls === null && trustProxy === false) {
    throw new Error('Tokens must not travel in the clear: set TLS_CERT_FILE and TLS_KEY_FILE, or TRUST_PROXY to the address of the proxy that ends TLS')
  }

  return {
    host: env['HOST'] ?? '127.0.0.1',
    port: Number(env['PORT'] ?? 3000),
    production,
    secretKey,
    tls,
    trustProxy,
    redisUrl,
    databaseFile: join(env['DATA_FOLDER'] ?? fileURLToPath(new URL('data', import.meta.url)), 'auth-system.db'),
    admin: env['ADMIN_EMAIL'] === undefined
      ? null
      : { email: env['ADMIN_EMAIL'].trim().toLowerCase(), password: need('ADMIN_PASSWORD', 'it belongs to ADMIN_EMAIL') }
  }
}
