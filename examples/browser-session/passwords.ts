import { hash, verify } from '@node-rs/argon2'

// Argon2id with 19 MiB and two passes: the package's defaults, and the first choice of OWASP's Password Storage
// cheat sheet.

/** The same password, whichever way a keyboard composes its accents (NIST SP 800-63B §3.1.1.2). */
const normalized = (password: string): string => password.normalize('NFKC')

/** What a name that nobody has is compared with. */
const hashOfNobody = await hash(crypto.randomUUID())

export async function hashPassword (password: string): Promise<string> {
  return await hash(normalized(password))
}

/**
 * Whether the password is the account's. Takes as long for an account there is not, so that the clock does not tell
 * who has one.
 */
export async function isPassword (passwordHash: string | undefined, password: string): Promise<boolean> {
  const matches = await verify(passwordHash ?? hashOfNobody, normalized(password))
  return matches && passwordHash !== undefined
}
