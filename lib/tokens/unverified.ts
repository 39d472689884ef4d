import { createDecoder } from 'fast-jwt'
import type { JwtHeader } from '../types.ts'

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

function read (token: string): { header: JwtHeader, payload: Record<string, unknown> } | null {
  try {
    return decode(token)
  } catch {
    return null
  }
}
