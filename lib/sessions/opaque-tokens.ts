import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { OpaqueToken } from '../types/verified-token.ts'

/*
 * An opaque refresh token is 80 bytes in base64url: the session id (16), flags (1), the generation (3), a secret (32), and a tag
 * (28).
 *
 * The secret is derived from a key of the server and a salt in the store. So a repeated request gets the same token, but neither
 * a leaked store nor an old token is enough to make one. The tag is an HMAC with a key of the server: a forged token is refused
 * without a query. The store keeps the hash of a token, never the token.
 */

/** Characters of an opaque refresh token. */
export const opaqueTokenLength = 107

const tokenPattern = /^[A-Za-z0-9_-]+$/

/** Bytes of the tag. */
const tagLength = 28

function tagOf (key: Uint8Array, token: Uint8Array): Buffer {
  return createHmac('sha256', key).update('tag').update(token).digest().subarray(0, tagLength)
}

/** The salt of the next token of a session. */
export function newSalt (): string {
  return randomBytes(32).toString('base64url')
}

/** Whether the cookie of a token outlives the browser: as `sessionCookie` says, no, or yes. */
const persistence = [undefined, false, true] as const

/** Flag: the session has its own lifetime. The token does not say how long it is. */
const ownLife = 4

/** What an opaque token contains, besides its secret. */
export type OpaqueTokenContent = Omit<OpaqueToken, 'genuine'>

/** Creates the opaque token of a session's generation. The same key and salt give the same token. */
export function createOpaqueToken (key: Uint8Array, { sessionId, generation, persistent, hasOwnLife }: OpaqueTokenContent, salt: string): string {
  const head = Buffer.alloc(20)
  head.write(sessionId.replaceAll('-', ''), 'hex')
  head.writeUInt8(persistence.indexOf(persistent) | (hasOwnLife ? ownLife : 0), 16)
  head.writeUIntBE(generation, 17, 3)
  const secret = createHmac('sha256', key).update('secret').update(head).update(salt).digest()
  const body = Buffer.concat([head, secret])
  return Buffer.concat([body, tagOf(key, body)]).toString('base64url')
}

/**
 * Parses an opaque refresh token.
 *
 * @param keys The keys that may have made it.
 * @returns `null` if it does not have the format of one.
 */
export function parseOpaqueToken (token: string, keys: readonly Uint8Array[]): OpaqueToken | null {
  if (typeof token !== 'string' || token.length !== opaqueTokenLength || !tokenPattern.test(token)) return null
  const bytes = Buffer.from(token, 'base64url')
  // 80 bytes leave two unused bits in the last character. Only the canonical encoding is accepted (RFC 4648 §3.5).
  if (bytes.toString('base64url') !== token) return null
  const hex = bytes.toString('hex', 0, 16)
  const tag = bytes.subarray(-tagLength)
  return {
    sessionId: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`,
    generation: bytes.readUIntBE(17, 3),
    persistent: persistence[bytes.readUInt8(16) & ~ownLife],
    hasOwnLife: (bytes.readUInt8(16) & ownLife) !== 0,
    genuine: keys.some(key => timingSafeEqual(tag, tagOf(key, bytes.subarray(0, -tagLength))))
  }
}

/** What a store keeps in place of a token. */
export function hashOf (token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/**
 * The double-submit CSRF token of an opaque token, which has no claims to hold one. It is derived, so nothing has to be stored.
 * It is one-way, so a script that reads it learns nothing about the token.
 */
export function opaqueCsrfToken (token: string): string {
  return createHmac('sha256', token).update('csrf').digest('base64url')
}
