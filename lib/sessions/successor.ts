import { randomUUID } from 'node:crypto'
import { laterOf } from './session-tokens.ts'
import type { Settings } from '../options/settings.ts'
import type { AdditionalClaims } from '../types/claims.ts'
import type { DeviceBinding } from '../types/device-binding.ts'
import type { RotatedToken, SessionChange, SessionRecord } from '../types/store.ts'
import type { Login, SessionTokenIssuer } from './session-tokens.ts'

/** What the next refresh token of a session is made from. */
export interface Continuation {
  readonly session: SessionRecord
  /** The generation of the presented token, which may be ahead of the store. */
  readonly generation: number
  /** Seconds since the epoch. */
  readonly now: number
  readonly login: Login
  /** The salt of the next refresh token. */
  readonly salt: string
  /** New claims; `null` keeps those of the session. */
  readonly claims: AdditionalClaims | null
  /** The device it is bound to from now on; `null` for none. */
  readonly binding: DeviceBinding | null
}

/** The changes of a session's record for its next refresh token. */
export type Successor = Required<Pick<SessionChange, 'generation' | 'tokenId' | 'document' | 'expiresAt'>>

export function createSuccessorOf ({ issuer: iss, audience: aud }: Settings, tokens: SessionTokenIssuer): (continuation: Continuation) => Successor {
  /** Its generation follows the later of the stored and the presented one. */
  return ({ session, generation: presented, now, login, salt, claims, binding }) => {
    const generation = Math.max(session.generation, presented) + 1
    const token: RotatedToken = { issuedAt: now, expiresAt: tokens.refreshExpiry(now, login), salt }
    const { binding: _before, ...document } = session.document
    return {
      generation,
      tokenId: salt === '' ? randomUUID() : tokens.opaqueId(login, generation, salt),
      // The record outlives every token of the session, including those made under another configuration.
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
