import type { Account, Accounts } from './accounts.ts'
import type { Database } from './database.ts'

/** Accounts in the SQLite file of the sessions. */
export function sqliteAccounts (database: Database): Accounts {
  database.exec('CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, password_hash TEXT NOT NULL, created_at INTEGER NOT NULL)')
  const find = database.prepare('SELECT password_hash, created_at FROM accounts WHERE name = ?')
  const create = database.prepare('INSERT INTO accounts (name, password_hash, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
  const setPassword = database.prepare('UPDATE accounts SET password_hash = ? WHERE name = ?')
  return {
    async find (name) {
      const row = find.get(name) as { password_hash: string, created_at: number } | undefined
      return row === undefined ? null : { name, passwordHash: row.password_hash, createdAt: row.created_at }
    },
    async create ({ name, passwordHash, createdAt }: Account) { return create.run(name, passwordHash, createdAt).changes === 1 },
    async setPassword (name, passwordHash) { setPassword.run(passwordHash, name) }
  }
}
