import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { OpaqueToken } from '../types/verified-token.ts'

/*
 * An opaque refresh token is 80 bytes in base64url: the session id (16), a secret (32), and a tag (32).
 *
 * The store keeps the hash of the token and a salt, never the token. The next secret is derived from the presented secret
 * and the salt. So every request within the reuse interval gets the same successor, and neither a leaked store nor an old
 * token is enough to compute it.
 *
 * The tag is an HMAC under a key of the session. It proves that this package issued the token, and for which issuer and
 * audience. Without it, a made-up token would look like reuse, and anyone could end a session.
 */

/** Characters of an opaque refresh token. */
export const opaqueTokenLength = 107

const tokenPattern = /^[A-Za-z0-9_-]+$/

/** The random values that the store keeps: the tag key of the session, and the salt of the current token. */
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

/** What the tag binds a token to: the issuer and the audience, for which an opaque token has no claims. */
export function bindingOf ({ issuer, audience }: { issuer: string | null, audience: readonly string[] | null }): string {
  return JSON.stringify([issuer, audience])
}

/** The salt of a new session. */
export function newSalt (): string {
  return `${randomBytes(32).toString('base64url')}.${randomBytes(32).toString('base64url')}`
}

/** The salt of the next rotation: the same tag key, and a new random value. */
export function nextSalt (salt: string): string {
  return `${parseSalt(salt).tagKey}.${randomBytes(32).toString('base64url')}`
}

/** The first token of a session, with a secret of 256 random bits. */
export function firstToken (sessionId: string, salt: string, binding: string): string {
  return write(sessionId, randomBytes(32), parseSalt(salt), binding)
}

/** The successor of a token. The same salt gives the same successor. */
export function successorOf (token: OpaqueToken, salt: string, binding: string): string {
  const parsed = parseSalt(salt)
  const secret = createHmac('sha256', token.secret).update(parsed.salt).digest()
  return write(token.sessionId, secret, parsed, binding)
}

/** Parses an opaque refresh token; `null` if it is none. */
export function parseToken (token: string): OpaqueToken | null {
  if (typeof token !== 'string' || token.length !== opaqueTokenLength || !tokenPattern.test(token)) return null
  const bytes = Buffer.from(token, 'base64url')
  // The last character has two unused bits. Only the canonical encoding is accepted (RFC 4648 §3.5).
  if (bytes.toString('base64url') !== token) return null
  const hex = bytes.toString('hex', 0, 16)
  const sessionId = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  return { sessionId, secret: bytes.subarray(16, 48), tag: bytes.subarray(48) }
}

/** Whether this package issued the token for the session with this salt, and for this issuer and audience. */
export function isGenuine (token: OpaqueToken, salt: string, binding: string): boolean {
  // A session with JWTs has no tag key. With an empty key, anyone could compute the tag.
  const parsed = parseSalt(salt)
  return parsed.tagKey !== '' && timingSafeEqual(token.tag, tagOf(token.sessionId, token.secret, parsed, binding))
}

/** The hash that a store keeps instead of a token: SHA-256 in base64url. */
export function hashOf (token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/**
 * The double-submit CSRF token of an opaque token. It is derived from the token, which has no claims to hold one. The
 * derivation is one-way, so that a script that reads it learns nothing about the token.
 */
export function opaqueCsrfToken (token: string): string {
  return createHmac('sha256', token).update('csrf').digest('base64url')
}
