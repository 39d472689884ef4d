// Argon2id with the parameters OWASP's Password Storage Cheat Sheet asks for: 19 MiB, two passes, one thread.
import { randomBytes } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'

const cost = { memoryCost: 19456, timeCost: 2, parallelism: 1 }

export const hashPassword = (password: string): Promise<string> => hash(password, cost)

// Compared with the password of an unknown user: the hash of a password that nobody has.
const nobody = await hashPassword(randomBytes(32).toString('base64'))

/** Takes as long for an unknown user as for a wrong password, so that nobody can find out addresses by the time it takes. */
export async function passwordMatches (passwordHash: string | undefined, password: string): Promise<boolean> {
  const matches = await verify(passwordHash ?? nobody, password)
  return matches && passwordHash !== undefined
}
