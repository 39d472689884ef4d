import type { Redis } from 'ioredis'

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

/** For development: gone at a restart. */
export class MemoryUsers implements Users {
  readonly #users = new Map<string, User>()

  async add (user: User): Promise<boolean> {
    if (this.#users.has(user.email)) return false
    this.#users.set(user.email, user)
    return true
  }

  async find (email: string): Promise<User | undefined> {
    return this.#users.get(email)
  }

  async grant (email: string, role: string): Promise<User | undefined> {
    const user = this.#users.get(email)
    if (user !== undefined) user.roles = [...new Set([...user.roles, role])]
    return user
  }

  async list (): Promise<User[]> {
    return [...this.#users.values()]
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
