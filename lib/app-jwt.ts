import { isPromise } from './after.ts'
import { authenticateToken } from './authenticate/authenticate-token.ts'
import { isJwtError, isRefusal, unsupportedCall } from './errors.ts'
import { readIdentity } from './jwt/identity.ts'
import { loadRotatedKeys } from './jwt/verifier.ts'
import { checkCallOptionNames } from './options/unknown.ts'
import { readHeader, readPayload } from './jwt/unverified.ts'
import { createEndHeldSession } from './sessions/clear-session.ts'
import { kCookiesOf } from './sessions/device-binding/announce.ts'
import { checkReplyArgument, checkSessionArguments, checkTokenArguments } from './cookies/setter-arguments.ts'
import type { EndHeldSession } from './sessions/clear-session.ts'
import type { DecodeTokenOptions, JwtExtended, SessionTokens } from './types/app-jwt.ts'
import type { FastifyReply } from 'fastify'
import type { JwtClaims, TokenType } from './types/claims.ts'
import type { Sessions } from './sessions/sessions.ts'
import type { Registration } from './registration.ts'

const decodeOptionNames = ['type', 'allowExpired']

function checkDecodeOptions (options: DecodeTokenOptions): void {
  checkCallOptionNames(options, decodeOptionNames)
  if (options.type !== undefined && !['access', 'refresh', 'any'].includes(options.type)) {
    throw new TypeError("'type' takes 'access', 'refresh' or 'any'")
  }
}

/** Creates `app.jwt`. */
export function createJwtDecorator (registration: Registration): JwtExtended {
  const { settings, verifier, issuer, cookies, sessions, proofs, announce } = registration
  const { errors } = settings
  let endHeldSession: EndHeldSession | undefined

  function decodeToken (token: string, options: DecodeTokenOptions = {}): JwtClaims {
    checkDecodeOptions(options)
    // A value of another type is an invalid token, not a mistake of the caller: it may come from a client.
    if (typeof token !== 'string') throw errors.FST_JWT_INVALID_TOKEN('malformed')
    const verified = options.allowExpired === true ? verifier.verifyExpired(token, null) : verifier.verify(token, null)
    if (isPromise(verified)) {
      // The fetch continues, so that its keys are there for the next call. Nobody handles this result.
      verified.catch(() => {})
      throw new TypeError('decodeToken is synchronous, but the keys for this token must be fetched first; use a hook or request.verifyJwt()')
    }
    const { claims } = verified
    if (options.type === 'access' && claims.type !== 'access') throw errors.FST_JWT_ACCESS_REQUIRED()
    if (options.type === 'refresh' && claims.type !== 'refresh') throw errors.FST_JWT_REFRESH_REQUIRED()
    return claims
  }

  function requireSessions (): Sessions {
    if (sessions === null) throw unsupportedCall('store', 'is false, but revocation and sessions need a store; leave it out, or give one')
    return sessions
  }

  function setTokenCookies (type: TokenType, reply: FastifyReply, token: string): void {
    cookies.requireCookies(reply)
    checkTokenArguments(type, reply, token)
    cookies.set(reply, type, token)
    if (type === 'refresh' || announce === null) return
    announce(reply, token)
    const sid = readPayload(token)?.['sid']
    if (typeof sid === 'string') reply[kCookiesOf] = sid
  }

  function setSessionCookies (reply: FastifyReply, session: SessionTokens): void {
    cookies.requireCookies(reply)
    checkSessionArguments(reply, session)
    const { sessionId, accessToken, refreshToken } = session
    try {
      // Both or none.
      cookies.checkSize('access', accessToken)
      cookies.checkSize('refresh', refreshToken)
    } catch (error) {
      // No client gets its tokens, so end the session.
      sessions?.endOwn(sessionId, reply.log).catch((cause: unknown) => { reply.log.error({ err: cause }, 'A session whose cookies are too large could not be ended') })
      throw error
    }
    setTokenCookies('access', reply, accessToken)
    setTokenCookies('refresh', reply, refreshToken)
  }

  function unset (call: string, reply: FastifyReply, ...types: TokenType[]): void {
    cookies.requireCookies(reply)
    checkReplyArgument(call, reply)
    for (const type of types) cookies.unset(reply, type)
  }

  function unsetJwtCookies (reply: FastifyReply): void {
    // curl up to 7.88 deletes only the last of several cookies cleared in one response: let that be the access cookie.
    unset('unsetJwtCookies', reply, 'refresh', 'access')
    if (announce !== null) reply[kCookiesOf] = null
  }

  /** The claims of a token that may have expired; `null` for an opaque token that is already revoked or expired. */
  async function readExpired (token: string, sessions: Sessions): Promise<JwtClaims | null> {
    const opaque = sessions.parseOpaque(token)
    if (opaque === null) return (await verifier.verifyExpired(token, null)).claims
    try {
      return (await sessions.verifyOpaque(token, opaque)).claims
    } catch (error) {
      if (isJwtError(error) && (error.code === 'FST_JWT_REVOKED' || error.code === 'FST_JWT_EXPIRED')) return null
      throw error
    }
  }

  return {
    createAccessToken: (subject, options) => issuer.access(issuer.identityOf(subject), options, undefined, subject),
    createRefreshToken: (subject, options) => issuer.refresh(issuer.identityOf(subject), options, undefined, subject),
    decodeToken,
    verifyToken (token, options) {
      try {
        decodeToken(token, options)
        return true
      } catch {
        return false
      }
    },
    getIdentity: token => readIdentity(readPayload(token)?.[settings.identityClaim]),
    getUnverifiedHeader: token => readHeader(token),
    getJti (token) {
      try {
        return decodeToken(token, { allowExpired: true }).jti ?? null
      } catch (error) {
        if (isRefusal(error)) return null
        throw error
      }
    },
    // `null` for a value of another type, as in the three functions above.
    getCsrfToken: token => typeof token === 'string' ? cookies.csrfOf(token) : null,
    setAccessCookies (reply, token) { setTokenCookies('access', reply, token) },
    setRefreshCookies (reply, token) { setTokenCookies('refresh', reply, token) },
    setSessionCookies,
    unsetJwtCookies,
    unsetAccessCookies (reply) { unset('unsetAccessCookies', reply, 'access') },
    unsetRefreshCookies (reply) { unset('unsetRefreshCookies', reply, 'refresh') },
    jwks: () => verifier.keys.jwks,
    rotateKeys (keys) { verifier.replaceKeys(loadRotatedKeys(settings, keys)) },
    async revokeToken (tokenOrClaims) {
      const sessions = requireSessions()
      if (typeof tokenOrClaims === 'object' && tokenOrClaims !== null) return sessions.revokeToken(tokenOrClaims)
      if (typeof tokenOrClaims !== 'string') throw new TypeError('revokeToken expects a token, or the claims of one as request.jwtClaims has them')
      const claims = await readExpired(tokenOrClaims, sessions)
      // Logging out twice is not an error.
      if (claims !== null) await sessions.revokeToken(claims)
    },
    async verifyDpopProof (request) {
      if (proofs === null) throw unsupportedCall('dpop', "is off, so that there is no proof to verify; set it to 'allowed' or 'required'")
      return proofs.keyOf(request)
    },
    createSession: async (subject, options) => requireSessions().create(subject, options),
    async authenticate (token, options = {}) { return authenticateToken(registration, token, options) },
    async clearSession (request, reply) {
      endHeldSession ??= createEndHeldSession(registration, requireSessions())
      const ended = await endHeldSession(request)
      if (settings.tokenLocation.includes('cookies')) unsetJwtCookies(reply)
      return ended
    },
    rotateSession: async (request, options) => requireSessions().rotate(request, options),
    updateSession: async (id, changes) => requireSessions().update(id, changes),
    updateAllSessions: async (subject, changes) => requireSessions().updateAll(subject, changes),
    listSessions: async subject => requireSessions().list(subject),
    revokeSession: async session => requireSessions().revoke(session),
    revokeAllSessions: async (subject, options) => requireSessions().revokeAll(subject, options)
  }
}
