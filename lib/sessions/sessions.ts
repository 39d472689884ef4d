import { randomUUID } from 'node:crypto'
import { publish } from '../events.ts'
import { after, isPromise } from '../after.ts'
import { kAuthentication } from '../registration.ts'
import { checkTimes } from '../tokens/claims.ts'
import { firstToken, hashOf, isGenuine, newSalt, nextSalt, opaqueCsrfToken, parseToken, successorOf } from './opaque-tokens.ts'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Settings } from '../options.ts'
import type { TokenIssuer } from '../tokens/create.ts'
import type { AdditionalClaims, CreateSessionOptions, Identity, JwtClaims, MaybePromise, SessionTokens } from '../types.ts'
import type { VerifiedToken } from '../tokens/verified-cache.ts'
import type { OpaqueToken } from './opaque-tokens.ts'
import type { RotatedToken, SessionInfo, SessionRecord, Store } from './store.ts'

/** Longer than any token outlives what is known of it: clocks differ, and one may be issued as its session ends. Seconds. */
const margin = 60

/** Revocation and refresh-token rotation over a store. */
export interface Sessions {
  create (subject: Identity | object, options?: CreateSessionOptions): Promise<SessionTokens>
  rotate (request: FastifyRequest, options?: { claims?: AdditionalClaims }): Promise<SessionTokens>
  list (subject: Identity | object): Promise<SessionInfo[]>
  revoke (id: string): Promise<boolean>
  revokeAll (subject: Identity | object, options?: { except?: string }): Promise<number>
  revokeToken (claims: JwtClaims): Promise<void>
  /** @throws `FST_JWT_REVOKED`, `FST_JWT_REUSED`, `FST_JWT_STORE_UNAVAILABLE` */
  refuseRevoked (claims: JwtClaims, session: SessionRecord | undefined): MaybePromise<void>
  /**
   * Verifies an opaque refresh token by its session.
   *
   * @param now Milliseconds since the epoch.
   */
  verifyOpaque (token: string, parsed: OpaqueToken, now: number): MaybePromise<VerifiedToken>
}

export function createSessions (settings: Settings, issuer: TokenIssuer, store: Store, log: FastifyBaseLogger): Sessions {
  const { errors, accessExpires, refreshExpires, sessionMaxAge, leeway, refreshTokenFormat } = settings
  const reuseInterval = settings.refreshReuseInterval * 1000

  /** A store that fails must never let a token pass: whatever it fails with is a 503. */
  function ask<T> (question: () => MaybePromise<T>): MaybePromise<T> {
    try {
      const answer = question()
      return isPromise(answer) ? Promise.resolve(answer).catch(fail) : answer
    } catch (error) {
      return fail(error)
    }
  }

  function fail (cause: unknown): never {
    const error = errors.FST_JWT_STORE_UNAVAILABLE()
    error.cause = cause
    throw error
  }

  /** When a token of this life made at `now` expires, no later than the session may last; all in whole seconds. */
  function expiry (now: number, life: number | false, login: number): number | null {
    const end = Math.min(life === false ? Infinity : now + life, sessionMaxAge === false ? Infinity : login + sessionMaxAge)
    return end === Infinity ? null : Math.floor(end)
  }

  const toMilliseconds = (seconds: number | null): number | null => seconds === null ? null : seconds * 1000

  /** Until when a session that ends now has to be denied: as long as any access token of it may live. */
  function denyUntil (): number | null {
    return accessExpires === false ? null : Date.now() + (accessExpires + leeway + margin) * 1000
  }

  function accessToken (identity: string, sid: string, now: number, login: number, claims: AdditionalClaims, fresh: NonNullable<CreateSessionOptions['fresh']>): string {
    return issuer.access(identity, { claims, fresh }, { sid, auth_time: login, iat: now, exp: expiry(now, accessExpires, login) })
  }

  function refreshToken (identity: string, sid: string, login: number, current: RotatedToken): string {
    return issuer.refresh(identity, {}, { sid, auth_time: login, jti: current.tokenId, iat: current.issuedAt, exp: current.expiresAt })
  }

  async function create (subject: Identity | object, options: CreateSessionOptions = {}): Promise<SessionTokens> {
    const { claims = {}, fresh = true, metadata = {} } = checkOptions(options, ['claims', 'fresh', 'metadata'])
    const identity = issuer.identityOf(subject)
    const id = randomUUID()
    const now = Math.floor(Date.now() / 1000)
    const expiresAt = expiry(now, refreshExpires, now)

    const opaque = refreshTokenFormat === 'opaque'
    const salt = opaque ? newSalt() : ''
    const opaqueToken = opaque ? firstToken(id, salt) : ''
    const current: RotatedToken = { tokenId: opaque ? hashOf(opaqueToken) : randomUUID(), issuedAt: now, expiresAt, salt }
    // Tokens first: claims that can't be written must not leave a session behind.
    const tokens: SessionTokens = {
      sessionId: id,
      accessToken: accessToken(identity, id, now, now, claims, fresh),
      refreshToken: opaque ? opaqueToken : refreshToken(identity, id, now, current)
    }
    await ask(() => store.createSession({
      id,
      identity,
      createdAt: now * 1000,
      lastUsedAt: now * 1000,
      expiresAt: toMilliseconds(expiresAt),
      accessExpiresAt: toMilliseconds(expiry(now, accessExpires, now)),
      current,
      previousTokenId: null,
      rotatedAt: null,
      claims,
      metadata
    }))
    publish('session.started', { sessionId: id, identity }, log)
    return tokens
  }

  async function rotate (request: FastifyRequest, options: { claims?: AdditionalClaims } = {}): Promise<SessionTokens> {
    const { claims = null } = checkOptions(options, ['claims'])
    const authentication = request[kAuthentication]
    if (authentication?.verified.claims.type !== 'refresh') {
      throw new TypeError('rotateSession takes a request that refreshTokenRequired has let in')
    }
    const { identity, sid, jti, auth_time: login } = authentication.verified.claims
    // A refresh token that is no session's, made by createRefreshToken, say.
    if (sid === undefined || jti === undefined || login === undefined) throw errors.FST_JWT_INVALID_TOKEN('sid')

    const now = Math.floor(Date.now() / 1000)
    const expiresAt = expiry(now, refreshExpires, login)
    if (expiresAt !== null && expiresAt <= now) {
      await end(sid, 'revoked')
      throw errors.FST_JWT_EXPIRED()
    }
    const presented = parseToken(authentication.token)
    const salt = authentication.verified.session === undefined ? '' : nextSalt(authentication.verified.session.current.salt)
    const next: RotatedToken = {
      tokenId: presented === null ? randomUUID() : hashOf(successorOf(presented, salt)), issuedAt: now, expiresAt, salt
    }
    // Claims that can't be written must not use up the token.
    if (claims !== null) accessToken(identity, sid, now, login, claims, false)

    const result = await ask(() => store.rotateSession(sid, {
      presented: jti,
      next,
      now: Date.now(),
      reuseInterval,
      expiresAt: toMilliseconds(expiresAt),
      accessExpiresAt: toMilliseconds(expiry(now, accessExpires, login)),
      claims
    }))
    if (result.outcome === 'unknown') throw errors.FST_JWT_REVOKED()
    if (result.outcome === 'reused') return refuseReused(result.session)

    const { current, claims: kept } = result.session
    const tokens: SessionTokens = {
      sessionId: sid,
      accessToken: accessToken(identity, sid, now, login, kept, false),
      refreshToken: presented === null ? refreshToken(identity, sid, login, current) : successorOf(presented, current.salt)
    }
    publish('session.rotated', { sessionId: sid, identity, repeated: result.outcome === 'repeated' }, log)
    return tokens
  }

  /** RFC 9700 §4.14.2: thief and owner can't be told apart, so the session ends for both. */
  async function refuseReused (session: SessionRecord): Promise<never> {
    publish('refresh.reused', { sessionId: session.id, identity: session.identity }, log)
    await end(session.id, 'reused')
    throw errors.FST_JWT_REUSED()
  }

  async function end (id: string, cause: 'revoked' | 'reused'): Promise<boolean> {
    const ended = await ask(() => store.endSession(id, denyUntil()))
    if (ended) publish('session.revoked', { sessionId: id, cause }, log)
    return ended
  }

  /** The session's word on a refresh token: current, or replaced so lately that it is a race. */
  function checkSession (session: SessionRecord | null, jti: string | undefined): MaybePromise<void> {
    if (session === null) throw errors.FST_JWT_REVOKED()
    if (jti === session.current.tokenId) return
    // Who is one step behind is judged by the store's clock when it rotates; here only what is plainly late.
    const lately = session.rotatedAt !== null && Date.now() - session.rotatedAt <= reuseInterval + clockSkew
    if (jti === session.previousTokenId && lately) return
    return refuseReused(session)
  }

  function verifyOpaque (token: string, parsed: OpaqueToken, now: number): MaybePromise<VerifiedToken> {
    return after(ask(() => store.getSession(parsed.sessionId)), session => {
      if (session === null) throw errors.FST_JWT_REVOKED()
      if (!isGenuine(parsed, session.current.salt)) throw errors.FST_JWT_INVALID_TOKEN('malformed')
      const { issuedAt, expiresAt } = session.current
      const claims: JwtClaims = Object.freeze({
        [settings.identityClaim]: session.identity,
        identity: session.identity,
        type: 'refresh' as const,
        jti: hashOf(token),
        iat: issuedAt,
        ...(expiresAt === null ? {} : { exp: expiresAt }),
        sid: session.id,
        auth_time: Math.floor(session.createdAt / 1000),
        csrf: opaqueCsrfToken(token)
      })
      checkTimes(claims, now, settings, false)
      return { header: null, claims, session }
    })
  }

  function refuseRevoked (claims: JwtClaims, session: SessionRecord | undefined): MaybePromise<void> {
    const { jti, sid, type } = claims
    if (jti === undefined && sid === undefined) return
    let denied: MaybePromise<boolean>
    try {
      denied = store.isDenied(jti ?? null, sid ?? null)
    } catch (error) {
      return fail(error)
    }
    if (denied === true) throw errors.FST_JWT_REVOKED()
    // What every request with an access token and a synchronous store comes to.
    if (denied === false && (type === 'access' || sid === undefined)) return
    return refuseLater(denied, claims, session)
  }

  function refuseLater (denied: MaybePromise<boolean>, { jti, sid, type }: JwtClaims, session: SessionRecord | undefined): MaybePromise<void> {
    // Asked in the same breath as the denylist, so that both answers cost one round trip.
    const record = type === 'access' || sid === undefined ? undefined : session ?? ask(() => store.getSession(sid))
    if (isPromise(record)) record.catch(() => {})
    return after(ask(() => denied), isDenied => {
      if (isDenied) throw errors.FST_JWT_REVOKED()
      if (record !== undefined) return after(record, found => checkSession(found, jti))
    })
  }

  /** Who a session list is asked for: an identity as `request.jwtIdentity` has it, or what `userIdentity` makes one of. */
  function nameOf (subject: Identity | object): string {
    return typeof subject === 'object' ? issuer.identityOf(subject) : String(subject)
  }

  return {
    create,
    rotate,
    refuseRevoked,
    verifyOpaque,

    async list (subject) {
      const sessions = await ask(() => store.listSessions(nameOf(subject)))
      return sessions.map(({ id, createdAt, lastUsedAt, expiresAt, metadata }) => ({
        id,
        createdAt: new Date(createdAt),
        lastUsedAt: new Date(lastUsedAt),
        expiresAt: expiresAt === null ? null : new Date(expiresAt),
        metadata
      }))
    },

    async revoke (id) { return end(id, 'revoked') },

    async revokeAll (subject, options = {}) {
      const { except } = checkOptions(options, ['except'])
      const sessions = await ask(() => store.listSessions(nameOf(subject)))
      const ended = await Promise.all(sessions.filter(({ id }) => id !== except).map(({ id }) => end(id, 'revoked')))
      return ended.filter(Boolean).length
    },

    async revokeToken ({ jti, sid, exp }) {
      if (jti === undefined) throw new TypeError('This token has no jti, so it cannot be told from others and revoked')
      await ask(() => store.denyToken(jti, sid ?? null, exp === undefined ? null : (exp + leeway + margin) * 1000))
      publish('token.revoked', { jti, sessionId: sid ?? null }, log)
    }
  }
}

/** How far the clocks of an app and its store may lie apart before a replaced token is refused unasked. Milliseconds. */
const clockSkew = 5000

/** A misspelt option would silently be another one. */
function checkOptions<T extends object> (options: T, known: readonly string[]): T {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new TypeError(`Unknown option '${name}'; the options are ${known.join(', ')}`)
  }
  return options
}
