import { randomUUID } from 'node:crypto'
import { isRefusal } from '../errors.ts'
import { publish, publishRefused } from '../events.ts'
import { kAuthentication } from '../authentication.ts'
import { bindingOf, hashOf, nextSalt, successorOf } from './opaque-tokens.ts'
import { reused } from './end.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { SessionTokens } from '../types/app-jwt.ts'
import type { AdditionalClaims } from '../types/claims.ts'
import type { SessionEnder } from './end.ts'
import type { SessionTokenIssuer } from './session-tokens.ts'
import type { RotatedToken, SessionStore } from '../types/store.ts'

/** Replaces the refresh token of a request. @param claims New claims for the session; `null` keeps the old ones. */
export type RotateSession = (request: FastifyRequest, claims: AdditionalClaims | null) => Promise<SessionTokens>

/** Creates `rotateSession` (RFC 9700 §4.14.2). The store decides in one atomic step which request was first. */
export function createRotateSession (
  settings: Settings, store: Pick<SessionStore, 'rotateSession'>, tokens: SessionTokenIssuer,
  { end, endReused }: SessionEnder
): RotateSession {
  const { errors, refreshReuseInterval } = settings
  const binding = bindingOf(settings)

  const rotate: RotateSession = async (request, claims) => {
    const authentication = request[kAuthentication]
    if (authentication === undefined) throw new TypeError('rotateSession takes a request that refreshTokenRequired has accepted')
    const { claims: { type, identity, sid, jti, auth_time: login }, opaque } = authentication.verified
    if (type !== 'refresh') throw errors.FST_JWT_REFRESH_REQUIRED()
    // The token belongs to no session: `createRefreshToken` creates such tokens.
    if (sid === undefined || jti === undefined || login === undefined) throw errors.FST_JWT_INVALID_TOKEN('sid')

    const now = Math.floor(Date.now() / 1000)
    const expiresAt = tokens.refreshExpiry(now, login)
    if (expiresAt !== null && expiresAt <= now) {
      await end(sid, 'expired', request.log)
      throw errors.FST_JWT_EXPIRED()
    }
    const owner = { identity, sid, login }
    const salt = opaque === undefined ? '' : nextSalt(opaque.session.current.salt)
    const tokenId = opaque === undefined ? randomUUID() : hashOf(successorOf(opaque.parsed, salt, binding))
    const next: RotatedToken = { tokenId, issuedAt: now, expiresAt, salt }
    // Throws if the claims can't be written, before the refresh token is used up.
    tokens.access(owner, now, claims ?? {}, false)

    const result = await store.rotateSession(sid, {
      presented: jti,
      next,
      now: Date.now(),
      reuseInterval: refreshReuseInterval * 1000,
      expiresAt: tokens.recordExpiry(expiresAt),
      accessExpiresAt: tokens.surelyExpired(tokens.accessExpiry(now, login)),
      claims
    })
    if (result.outcome === 'unknown') throw errors.FST_JWT_REVOKED()
    if (result.outcome === 'reused') throw reused(result.session, errors)

    const { current, claims: kept, identity: ofSession } = result.session
    // The identity of the store is the right one: whoever holds a key that `decodeKey` returns can write any identity.
    owner.identity = ofSession
    publish('session.rotated', { sessionId: sid, identity: ofSession, repeated: result.outcome === 'repeated' }, request.log)
    return {
      sessionId: sid,
      accessToken: tokens.access(owner, now, kept, false),
      refreshToken: opaque === undefined ? tokens.refresh(owner, current) : successorOf(opaque.parsed, current.salt, binding)
    }
  }

  return async (request, claims) => {
    try {
      return await rotate(request, claims)
    } catch (error) {
      if (!isRefusal(error)) throw error
      publishRefused(error.code, request)
      await endReused(error, request.log)
      throw error
    }
  }
}
