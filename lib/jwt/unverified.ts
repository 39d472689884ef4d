import { createDecoder } from 'fast-jwt'
import { deepFreeze } from './freeze.ts'
import type { JwtHeader } from '../types/claims.ts'

/** An unverified token: its sender may have written anything into it. */
export interface UnverifiedToken {
  readonly header: JwtHeader
  readonly claims: Readonly<Record<string, unknown>>
}

const decode = createDecoder({ complete: true })

/**
 * The header of a token, **unverified**; `null` when unreadable. Only for choosing a key: nothing in it
 * is to be trusted before the signature has been checked (RFC 8725 §3.10).
 */
export function readHeader (token: string): JwtHeader | null {
  return read(token)?.header ?? null
}

/** The claims of a token, **unverified**; `null` when unreadable. */
export function readPayload (token: string): Record<string, unknown> | null {
  return read(token)?.payload ?? null
}

/** Header and claims of a token, **unverified**; `null` when unreadable. */
export function readToken (token: string): UnverifiedToken | null {
  const parts = read(token)
  return parts === null ? null : { header: deepFreeze(parts.header), claims: deepFreeze(parts.payload) }
}

function read (token: string): { header: JwtHeader, payload: Record<string, unknown> } | null {
  try {
    return decode(token)
  } catch {
    return null
  }
}
