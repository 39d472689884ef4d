import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { OpaqueToken } from '../types/verified-token.ts'

/*
 * An opaque refresh token is 80 bytes in base64url: the session id (16), a secret (32), and a tag (32).
 *
 * The store keeps the token's hash and a salt, never the token. The next secret is derived from the presented one
 * and the salt, so that everybody who asks within the reuse interval gets the same successor, while neither a leaked
 * store nor an old token is enough to make it. The tag, keyed per session, proves that it was issued here, and for
 * which issuer and audience: a made-up one is refused, where it would else look like reuse and end somebody's session.
 */

/** Characters of an opaque refresh token. */
export const opaqueTokenLength = 107

const tokenPattern = /^[A-Za-z0-9_-]+$/

/** Random that is kept of a session's current token: the tag key of the session, and the salt of this rotation. */
interface Salt { readonly tagKey: string, readonly salt: string }

function parseSalt (value: string): Salt {
  const [tagKey = '', salt = ''] = value.split('.')
  return { tagKey, salt }
}

function tagOf (sessionId: string, secret: Buffer, { tagKey }: Salt, binding: string): Buffer {
  return createHmac('sha256', tagKey).update(sessionId).update(secret).update(binding).digest()
}

function write (sessionId: string, secret: Buffer, salt: Salt, binding: string): string {
  const bytes = [Buffer.from(sessionId.replaceAll('-', ''), 'hex'), secret, tagOf(sessionId, secret, salt, binding)]
  return Buffer.concat(bytes).toString('base64url')
}

/** What a token is bound to, since it has no claims to say so: the issuer and the audience that a JWT would name. */
export function bindingOf ({ issuer, audience }: { issuer: string | null, audience: readonly string[] | null }): string {
  return JSON.stringify([issuer, audience])
}

/** The salt of a new session. */
export function newSalt (): string {
  return `${randomBytes(32).toString('base64url')}.${randomBytes(32).toString('base64url')}`
}

/** The salt of the next rotation: same tag key, new randomness. */
export function nextSalt (salt: string): string {
  return `${parseSalt(salt).tagKey}.${randomBytes(32).toString('base64url')}`
}

/** The first token of a session, 256 bits of randomness. */
export function firstToken (sessionId: string, salt: string, binding: string): string {
  return write(sessionId, randomBytes(32), parseSalt(salt), binding)
}

/** The successor of a token: the same for all who ask with the same salt. */
export function successorOf (token: OpaqueToken, salt: string, binding: string): string {
  const parsed = parseSalt(salt)
  const secret = createHmac('sha256', token.secret).update(parsed.salt).digest()
  return write(token.sessionId, secret, parsed, binding)
}

/** Takes a token apart; `null` when it has not the form of one. */
export function parseToken (token: string): OpaqueToken | null {
  if (typeof token !== 'string' || token.length !== opaqueTokenLength || !tokenPattern.test(token)) return null
  const bytes = Buffer.from(token, 'base64url')
  // 80 bytes leave two unused bits in the last character; a second spelling is no token of ours (RFC 4648 §3.5).
  if (bytes.toString('base64url') !== token) return null
  const hex = bytes.toString('hex', 0, 16)
  const sessionId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  return { sessionId, secret: bytes.subarray(16, 48), tag: bytes.subarray(48) }
}

/** Whether this package issued the token, in a session with this salt. */
export function isGenuine (token: OpaqueToken, salt: string, binding: string): boolean {
  // A session of JWTs has no key, and with an empty one anybody could make the tag.
  const parsed = parseSalt(salt)
  return parsed.tagKey !== '' && timingSafeEqual(token.tag, tagOf(token.sessionId, token.secret, parsed, binding))
}

/** What a store keeps in place of a token. */
export function hashOf (token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/**
 * The double-submit CSRF token of an opaque token, which has no claims to hold one: derived from it, so that nothing
 * has to be kept, and one-way, so that the script that reads it learns nothing of the token.
 */
export function opaqueCsrfToken (token: string): string {
  return createHmac('sha256', token).update('csrf').digest('base64url')
}
