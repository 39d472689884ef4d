import type { Redis } from 'ioredis'
import type { Database } from '../browser-session/database.ts'

export interface User {
  email: string
  name: string
  passwordHash: string
  roles: string[]
}

/** Where users are kept. Two of them here; one for your database has these four methods. */
export interface Users {
  /** `false` when the address is taken: decided by the database, since two may register at once. */
  add (user: User): Promise<boolean>
  find (email: string): Promise<User | undefined>
  grant (email: string, role: string): Promise<User | undefined>
  list (): Promise<User[]>
}

/** In an SQLite file, for one machine. Roles have a table of their own, so that granting one is a single atomic statement. */
export class SqliteUsers implements Users {
  readonly #statements

  constructor (database: Database) {
    database.exec(`
      CREATE TABLE IF NOT EXISTS users (email TEXT PRIMARY KEY, name TEXT NOT NULL, password_hash TEXT NOT NULL);
      CREATE TABLE IF NOT EXISTS user_roles (email TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (email, role))`)
    this.#statements = {
      add: database.prepare('INSERT INTO users (email, name, password_hash) VALUES (?, ?, ?) ON CONFLICT DO NOTHING'),
      find: database.prepare('SELECT name, password_hash FROM users WHERE email = ?'),
      roles: database.prepare('SELECT role FROM user_roles WHERE email = ? ORDER BY role'),
      grant: database.prepare('INSERT INTO user_roles (email, role) SELECT email, ? FROM users WHERE email = ? ON CONFLICT DO NOTHING'),
      list: database.prepare('SELECT email FROM users ORDER BY email')
    }
  }

  async add ({ email, name, passwordHash, roles }: User): Promise<boolean> {
    if (this.#statements.add.run(email, name, passwordHash).changes === 0) return false
    for (const role of roles) this.#statements.grant.run(role, email)
    return true
  }

  async find (email: string): Promise<User | undefined> {
    const row = this.#statements.find.get(email) as { name: string, password_hash: string } | undefined
    if (row === undefined) return undefined
    const roles = (this.#statements.roles.all(email) as Array<{ role: string }>).map(({ role }) => role)
    return { email, name: row.name, passwordHash: row.password_hash, roles }
  }

  async grant (email: string, role: string): Promise<User | undefined> {
    this.#statements.grant.run(role, email)
    return await this.find(email)
  }

  async list (): Promise<User[]> {
    const rows = this.#statements.list.all() as Array<{ email: string }>
    const users = await Promise.all(rows.map(({ email }) => this.find(email)))
    return users.filter(user => user !== undefined)
  }
}

/** A hash of users, and a set of roles for each, so that granting one is a single atomic command. */
export class RedisUsers implements Users {
  readonly #redis: Redis

  constructor (redis: Redis) {
    this.#redis = redis
  }

  async add ({ roles, ...user }: User): Promise<boolean> {
    if (await this.#redis.hsetnx('users', user.email, JSON.stringify(user)) === 0) return false
    await this.#redis.sadd(`roles:${user.email}`, ...roles)
    return true
  }

  async find (email: string): Promise<User | undefined> {
    const [found, roles] = await Promise.all([this.#redis.hget('users', email), this.#redis.smembers(`roles:${email}`)])
    return found === null ? undefined : { ...JSON.parse(found) as Omit<User, 'roles'>, roles }
  }

  async grant (email: string, role: string): Promise<User | undefined> {
    if (await this.#redis.hexists('users', email) === 0) return undefined
    await this.#redis.sadd(`roles:${email}`, role)
    return await this.find(email)
  }

  async list (): Promise<User[]> {
    const users = await Promise.all((await this.#redis.hkeys('users')).map(email => this.find(email)))
    return users.filter(user => user !== undefined)
  }
}
