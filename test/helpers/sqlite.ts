import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SqliteDatabase } from '../../lib/stores/sqlite/store.ts'

export interface OpenDatabase extends SqliteDatabase {
  close (): unknown
}

/** A driver of SQLite: opens a file, or says why it cannot be loaded here. */
export interface Driver {
  readonly name: string
  /** For the `skip` option of a test: the reason, or `false`. */
  readonly missing: string | false
  open (path: string): OpenDatabase
}

type Constructor = new (path: string) => OpenDatabase

const require = createRequire(import.meta.url)

function driver (name: string, load: () => Constructor, excuse: string | null): Driver {
  try {
    const Database = load()
    return { name, missing: false, open: path => new Database(path) }
  } catch (error) {
    if (process.env['CI'] !== undefined && excuse === null) throw error
    return { name, missing: excuse ?? `${name} cannot be loaded`, open: () => { throw error } }
  }
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const excuse = major > 22 || (major === 22 && minor >= 13) ? null : 'node:sqlite needs Node 22.13'

export const betterSqlite = driver('better-sqlite3', () => {
  const Database = require('better-sqlite3') as Constructor
  // Its binary is loaded with the first database.
  new Database(':memory:').close()
  return Database
}, null)
export const libsql = driver('libsql', () => require('libsql') as Constructor, null)
export const nodeSqlite = driver('node:sqlite', () => (require('node:sqlite') as { DatabaseSync: Constructor }).DatabaseSync, excuse)

/** Those that this Node can load, and the others with the reason why not. */
export const drivers: readonly Driver[] = [betterSqlite, libsql, nodeSqlite]

interface Teardown {
  teardown (run: () => Promise<void>): void
}

/** A path for a database in a folder that goes when the test ends. */
export async function databasePath (t: Teardown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fastify-jwt-extended-sqlite-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'sessions.db')
}

/** Runs something, and returns what it has scheduled by `setTimeout`, which does not run by itself. */
export function scheduledBy (work: () => void): Array<() => void> {
  const { setTimeout } = globalThis
  const steps: Array<() => void> = []
  globalThis.setTimeout = ((step: () => void) => {
    steps.push(step)
    return setTimeout(() => {}, 0)
  }) as typeof setTimeout
  try {
    work()
  } finally {
    globalThis.setTimeout = setTimeout
  }
  return steps
}
