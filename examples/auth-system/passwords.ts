// Argon2id with the parameters OWASP's Password Storage Cheat Sheet asks for: 19 MiB, two passes, one thread.
import { randomBytes } from 'node:crypto'
import { hash, verify } from '@node-rs/argon2'

const cost = { memoryCost: 19456, timeCost: 2, parallelism: 1 }

export const hashPassword = (password: string): Promise<string> => hash(password, cost)

// What an unknown user is compared with: the hash of a password nobody has.
const nobody = await hashPassword(randomBytes(32).toString('base64'))

/** Takes as long for a user there is not as for a wrong password, so that addresses can't be found out by the clock. */
export async function passwordMatches (passwordHash: string | undefined, password: string): Promise<boolean> {
  const matches = await verify(passwordHash ?? nobody, password)
  return matches && passwordHash !== undefined
}
