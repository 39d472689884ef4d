import type { SqliteDatabase } from 'fastify-jwt-extended/sqlite'

export interface Database extends SqliteDatabase {
  close (): unknown
}

/** Opens an SQLite file: by Node itself, or before Node 22.13 by libsql, which brings its own binary. */
export async function openDatabase (path: string): Promise<Database> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 13)) {
    // A name that TypeScript does not look up: the types of Node 20 do not have it.
    const name: string = 'node:sqlite'
    const { DatabaseSync } = await import(name) as { DatabaseSync: new (path: string) => Database }
    return new DatabaseSync(path)
  }
  const { default: LibsqlDatabase } = await import('libsql')
  return new LibsqlDatabase(path) as Database
}
