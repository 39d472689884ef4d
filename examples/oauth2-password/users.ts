import { randomBytes } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'

export interface User { fullName: string, passwordHash: string, scopes: string[] }

// Argon2id with the parameters of OWASP's Password Storage Cheat Sheet.
const hashPassword = (password: string): Promise<string> => hash(password, { memoryCost: 19456, timeCost: 2, parallelism: 1 })

/** Replace this by your database, which holds the hashes and never a password. */
export const users = new Map<string, User>([
  ['user123', { fullName: 'The first user', passwordHash: await hashPassword('correct horse battery staple'), scopes: ['me', 'items'] }],
  ['user456', { fullName: 'The second user', passwordHash: await hashPassword('wrong donkey charger rivet'), scopes: ['me'] }]
])

// Compared with the password of an unknown user: the hash of a password that nobody has.
const nobody = await hashPassword(randomBytes(32).toString('base64'))

/** The user, or `undefined`. Takes as long for an unknown name as for a wrong password. */
export async function authenticate (username: string, password: string): Promise<User | undefined> {
  const user = users.get(username)
  const matches = await verify(user?.passwordHash ?? nobody, password)
  return matches ? user : undefined
}
