import type { Pool } from 'pg'
import type { Account, Accounts } from './accounts.ts'

/** Accounts on PostgreSQL, beside the sessions. */
export async function postgresAccounts (pool: Pool): Promise<Accounts> {
  await pool.query('CREATE TABLE IF NOT EXISTS accounts (name text PRIMARY KEY, password_hash text NOT NULL, created_at bigint NOT NULL)')
  return {
    async find (name) {
      const { rows: [row] } = await pool.query('SELECT password_hash, created_at FROM accounts WHERE name = $1', [name])
      return row === undefined ? null : { name, passwordHash: row.password_hash, createdAt: Number(row.created_at) }
    },
    async create ({ name, passwordHash, createdAt }: Account) {
      const { rowCount } = await pool.query('INSERT INTO accounts VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [name, passwordHash, createdAt])
      return rowCount === 1
    },
    async setPassword (name, passwordHash) { await pool.query('UPDATE accounts SET password_hash = $2 WHERE name = $1', [name, passwordHash]) }
  }
}
