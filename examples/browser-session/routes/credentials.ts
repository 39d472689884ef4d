import { Type } from 'typebox'

export const name = Type.String({ pattern: '^[A-Za-z0-9._-]{2,30}$' })

/** A password that is given: a limit on what is hashed, since hashing is slow on purpose. */
export const password = Type.String({ minLength: 1, maxLength: 200 })

/** A password that is chosen: length and nothing else makes it strong (NIST SP 800-63B §3.1.1.2). */
export const newPassword = Type.String({ minLength: 12, maxLength: 200 })

export const credentials = Type.Object({ name, password })

export const newCredentials = Type.Object({ name, password: newPassword })
