import { rememberRefusal } from '../authenticate/challenge.ts'
import { kAuthentication } from '../authentication.ts'
import { isRefusal } from '../errors.ts'
import { publish, publishRefused } from '../events.ts'
import { checkTimes } from '../jwt/verify.ts'
import { storeUnavailable } from '../stores/fail-closed.ts'
import { reused } from './end.ts'
import { newSalt } from './opaque-tokens.ts'
import { loginOf } from './session-tokens.ts'
import { standingOf } from './standing.ts'
import { createSuccessorOf } from './successor.ts'
import type { FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { SessionTokens } from '../types/app-jwt.ts'
import type { AdditionalClaims, JwtClaims } from '../types/claims.ts'
import type { SessionChange, SessionRecord, SessionStore, StoredSession } from '../types/store.ts'
import type { SessionEnder } from './end.ts'
import type { AppClaims, SessionTokenIssuer } from './session-tokens.ts'
import type { PresentedToken } from './standing.ts'

/** Replaces the refresh token of a request; `null` claims keep those of the session. */
export type RotateSession = (request: FastifyRequest, claims: AdditionalClaims | null) => Promise<SessionTokens>

/** The refresh token to replace. */
interface Rotation extends PresentedToken {
  readonly sid: string
  /** Its `nbf` and `exp`. */
  readonly times: Pick<JwtClaims, 'nbf' | 'exp'>
  readonly claims: AdditionalClaims | null
  /** The thumbprint of the key that a proof was checked with. */
  readonly provenKey: string | null
}

/** The session after a rotation. */
interface Settled {
  readonly session: SessionRecord
  /** Whether another request has done the rotation. */
  readonly repeated: boolean
  /** Requested after the session was read, so that a later change of either is noticed. */
  readonly app: AppClaims
}

/** A request that loses a race finds the token replaced. Only a broken store needs more attempts. */
const maxAttempts = 20

/** Refresh-token rotation (RFC 9700 §4.14.2): read, decide, compare and set; again if the session has changed meanwhile. */
export function createRotateSession (
  settings: Settings, store: Pick<SessionStore, 'getSession' | 'replaceSession'>, tokens: SessionTokenIssuer, { end, endReused }: SessionEnder
): RotateSession {
  const { errors, refreshTokenFormat } = settings
  const successorOf = createSuccessorOf(settings, tokens)

  function presentedBy (request: FastifyRequest): Omit<Rotation, 'claims'> & { readonly stored: StoredSession | null } {
    const authentication = request[kAuthentication]
    if (authentication === undefined) throw new TypeError('rotateSession takes a request that refreshTokenRequired has accepted')
    const { verified: { claims, foreign }, stored, provenKey } = authentication
    const { type, sid, jti, gen = 0, auth_time: login } = claims
    if (type !== 'refresh') throw errors.FST_JWT_REFRESH_REQUIRED()
    if (sid === undefined || jti === undefined || login === undefined) {
      request.log.warn('rotateSession got a refresh token of no session. createRefreshToken makes such a token; one that can be rotated comes from createSession')
      throw errors.FST_JWT_INVALID_TOKEN('sid')
    }
    return { sid, tokenId: jti, generation: gen, ours: foreign !== true, times: claims, stored, provenKey }
  }

  /** A session that is bound to a key is rotated only with a proof of that key, whichever hook has accepted the request. */
  function checkKey ({ document: { jkt = null } }: SessionRecord, { provenKey }: Rotation): void {
    if (settings.dpop !== false && jkt !== provenKey) throw errors.FST_JWT_DPOP_BINDING('Invalid DPoP key binding')
  }

  /** The session after the rotation, by this request or another one. */
  async function settle (rotation: Rotation, known: StoredSession | null, request: FastifyRequest): Promise<Settled> {
    let stored = known
    for (let attempt = 0; attempt < maxAttempts; attempt++, stored = null) {
      stored ??= await store.getSession(rotation.sid)
      if (stored === null) throw errors.FST_JWT_REVOKED()
      // Checked after each wait: the token may have expired since the hook accepted it.
      checkTimes(rotation.times, settings)
      const { session } = stored
      checkKey(session, rotation)
      const standing = standingOf(rotation, stored, settings)
      if (standing === 'reused') throw reused(session, errors)
      if (standing === 'bound') throw errors.FST_JWT_DEVICE_BOUND()
      const { identity, document: { token } } = session
      if (standing === 'predecessor') return { session, repeated: true, app: await tokens.askApp(identity, identity, token.salt) }

      const salt = refreshTokenFormat === 'opaque' ? newSalt() : ''
      const app = await tokens.askApp(identity, identity, salt)
      const now = Math.floor(Date.now() / 1000)
      const login = loginOf(session)
      // If the response that bound the session was lost, it continues unbound.
      const next = successorOf({ session, generation: rotation.generation, now, login, salt, claims: rotation.claims, binding: null })
      const { expiresAt } = next.document.token
      if (expiresAt !== null && expiresAt <= now) {
        await end(session.id, 'expired', request.log)
        throw errors.FST_JWT_EXPIRED()
      }
      // If the access token can't be created, the refresh token must not be used up.
      tokens.access(login, next.generation, now, next.document.claims, false, app)
      const change: SessionChange = { ...next, previousTokenId: rotation.tokenId, rotated: true, used: false }
      if (await store.replaceSession(session.id, session.version, change)) return { session: { ...session, ...next }, repeated: false, app }
    }
    throw storeUnavailable(errors, new Error('the session changes faster than it can be rotated'))
  }

  async function rotate (request: FastifyRequest, claims: AdditionalClaims | null): Promise<SessionTokens> {
    const { stored, ...presented } = presentedBy(request)
    const { session, repeated, app } = await settle({ ...presented, claims }, stored, request)
    const { id: sessionId, identity, generation, tokenId, document } = session
    const login = loginOf(session)
    publish('session.rotated', { sessionId, identity, repeated }, request.log)
    return {
      sessionId,
      accessToken: tokens.access(login, generation, Math.floor(Date.now() / 1000), document.claims, false, app),
      refreshToken: tokens.refresh(login, generation, document.token, tokenId, app),
      ...tokens.tokenType(login)
    }
  }

  return async (request, claims) => {
    try {
      return await rotate(request, claims)
    } catch (error) {
      if (!isRefusal(error)) throw error
      await endReused(error, request.log)
      rememberRefusal(request, error)
      publishRefused(error, request)
      throw error
    }
  }
}
