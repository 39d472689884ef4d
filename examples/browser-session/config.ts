import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What the environment says, checked once. */
export interface Config {
  port: number
  host: string
  logLevel: string
  /** Signs the tokens. One for all processes that share logins. */
  secretKey: string | Buffer
  /** Where sessions and accounts are kept; `null` for the file. */
  redisUrl: string | null
  /** A PostgreSQL to keep them on; `null` for the file. */
  databaseUrl: string | null
  /** The SQLite file of sessions and accounts. */
  databaseFile: string
  /** Addresses of the proxy that ends TLS in front of this process; `null` for none. */
  trustProxy: string | null
  /** Key and certificate in PEM, if this process ends TLS itself; `null` for plain HTTP, on localhost or behind a proxy. */
  tls: { key: Buffer, cert: Buffer } | null
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
  const databaseUrl = env['DATABASE_URL'] || null
  const secret = env['JWT_SECRET_KEY'] || null
  const folder = env['DATA_FOLDER'] || fileURLToPath(new URL('data', import.meta.url))
  if ((redisUrl !== null || databaseUrl !== null) && secret === null) {
    throw new Error('JWT_SECRET_KEY must be set with REDIS_URL or DATABASE_URL, to 32 random bytes or more, or the sessions kept there could not be used after a restart')
  }
  return {
    port: count(env, 'PORT', 3000),
    host: env['HOST'] || '127.0.0.1',
    logLevel: env['LOG_LEVEL'] || 'warn',
    secretKey: secret ?? keptSecret(folder),
    redisUrl,
    databaseUrl,
    databaseFile: join(folder, 'site.db'),
    trustProxy: env['TRUST_PROXY'] || null,
    tls: readTls(env['TLS_KEY'] || null, env['TLS_CERT'] || null),
    accessExpires: count(env, 'ACCESS_EXPIRES', 15 * 60),
    reuseInterval: count(env, 'REUSE_INTERVAL', 10),
    attemptsPerMinute: count(env, 'ATTEMPTS_PER_MINUTE', 10)
  }
}

function readTls (key: string | null, cert: string | null): Config['tls'] {
  if (key === null && cert === null) return null
  if (key === null || cert === null) throw new Error('TLS_KEY and TLS_CERT go together: the PEM files of a private key and its certificate')
  return { key: readFileSync(key), cert: readFileSync(cert) }
}

/** The secret of the last start, or a new one. A site in production keeps its secret in a safer place than beside its data. */
function keptSecret (folder: string): Buffer {
  const path = join(folder, 'secret.key')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  try {
    // Whoever creates the file decides, should two start at once.
    writeFileSync(path, randomBytes(32), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(path)
}

function count (env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const value = env[name] || String(fallback)
  if (!/^\d{1,9}$/.test(value)) throw new Error(`${name} takes a whole number, and not '${value}'`)
  return Number(value)
}
