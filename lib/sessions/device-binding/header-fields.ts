import type { FastifyRequest } from 'fastify'

/** Ids, challenges and proofs: base64url, and the dots of a JWS. They need no escape in a quoted string. */
const value = /^(?:"([\w\-.]+)"|([\w\-.]+))$/

/**
 * Reads a header that holds one string (RFC 8941 §3.3.3). Chromium sends it without quotes.
 *
 * @returns `undefined` if there is no such header, `null` if it holds anything else.
 */
export function readString (request: FastifyRequest, name: string): string | null | undefined {
  const field = request.headers[name]
  if (field === undefined) return undefined
  const [, quoted, bare] = value.exec(String(field)) ?? []
  return quoted ?? bare ?? null
}

/** What `Secure-Session-Registration` says at login. */
export interface Announcement {
  readonly path: string
  readonly challenge: string
  readonly authorization: string
}

export function writeRegistration ({ path, challenge, authorization }: Announcement): string {
  return `(ES256 RS256);path="${path}";challenge="${challenge}";authorization="${authorization}"`
}

/** `Secure-Session-Challenge`. */
export function writeChallenge (identifier: string, challenge: string): string {
  return `"${challenge}";id="${identifier}"`
}
