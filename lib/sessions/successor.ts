import { randomUUID } from 'node:crypto'
import { laterOf } from './session-tokens.ts'
import type { Settings } from '../options/settings.ts'
import type { AdditionalClaims } from '../types/claims.ts'
import type { DeviceBinding } from '../types/device-binding.ts'
import type { RotatedToken, SessionChange, SessionRecord } from '../types/store.ts'
import type { Login, SessionTokenIssuer } from './session-tokens.ts'

/** What a session goes on with. */
export interface Continuation {
  readonly session: SessionRecord
  /** That of the token presented, which may be ahead of the store. */
  readonly generation: number
  /** Seconds since the epoch. */
  readonly now: number
  readonly login: Login
  /** That of the next refresh token. */
  readonly salt: string
  /** New claims; `null` keeps those of the session. */
  readonly claims: AdditionalClaims | null
  /** The device it is bound to from now on; `null` for none. */
  readonly binding: DeviceBinding | null
}

/** The next refresh token of a session, as its record says it. */
export type Successor = Required<Pick<SessionChange, 'generation' | 'tokenId' | 'document' | 'expiresAt'>>

export function createSuccessorOf ({ issuer: iss, audience: aud }: Settings, tokens: SessionTokenIssuer): (continuation: Continuation) => Successor {
  /** The next token of a session, after the later of what the store knows and what was presented. */
  return ({ session, generation: presented, now, login, salt, claims, binding }) => {
    const generation = Math.max(session.generation, presented) + 1
    const token: RotatedToken = { issuedAt: now, expiresAt: tokens.refreshExpiry(now, login), salt }
    const { binding: _before, ...document } = session.document
    return {
      generation,
      tokenId: salt === '' ? randomUUID() : tokens.opaqueId(login, generation, salt),
      // The record outlives every token made in its name, those of another configuration included.
      expiresAt: laterOf(session.expiresAt, laterOf(tokens.retention(token.expiresAt), tokens.retention(tokens.accessExpiry(now, login)))),
      document: {
        ...document,
        lastUsedAt: Date.now(),
        token,
        claims: claims ?? document.claims,
        ...(binding === null ? {} : { binding }),
        ...(iss === null ? {} : { iss }),
        ...(aud === null ? {} : { aud })
      }
    }
  }
}
