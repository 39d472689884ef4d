import { randomUUID } from 'node:crypto'
import { isJwtError } from '../errors.ts'
import { checkCallOptionNames } from '../options/unknown.ts'
import { publish } from '../events.ts'
import { readIdentity } from '../jwt/claims.ts'
import { createSessionEnder } from './end.ts'
import { failClosed } from '../stores/fail-closed.ts'
import { MemoryStore } from '../stores/memory.ts'
import { bindingOf, firstToken, hashOf, newSalt } from './opaque-tokens.ts'
import { createStoreChecks } from './refresh-tokens.ts'
import { createRotateSession } from './rotate.ts'
import { createSessionTokenIssuer } from './session-tokens.ts'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { TokenIssuer } from '../jwt/create.ts'
import type { CreateSessionOptions, SessionTokens } from '../types/app-jwt.ts'
import type { AdditionalClaims, Identity, JwtClaims } from '../types/claims.ts'
import type { OpaqueToken } from '../types/verified-token.ts'
import type { StoreChecks } from './refresh-tokens.ts'
import type { RotatedToken, SessionInfo, Store } from '../types/store.ts'

/** How far the clocks of this process and of a store elsewhere may lie apart. Milliseconds. */
const foreignClockSkew = 5000

/** Revocation and refresh-token rotation over a store. Each method rejects with `FST_JWT_STORE_UNAVAILABLE` when it fails. */
export interface Sessions extends StoreChecks {
  create (subject: Identity | object, options?: CreateSessionOptions): Promise<SessionTokens>
  rotate (request: FastifyRequest, options?: { claims?: AdditionalClaims }): Promise<SessionTokens>
  list (subject: Identity | object): Promise<SessionInfo[]>
  revoke (id: string): Promise<boolean>
  revokeAll (subject: Identity | object, options?: { except?: string | undefined }): Promise<number>
  revokeToken (claims: JwtClaims): Promise<void>
  revokeOpaqueToken (token: string, parsed: OpaqueToken): Promise<void>
}

/** @param log Where events that no request causes are written. */
export function createSessions (settings: Settings, issuer: TokenIssuer, given: Store, log: FastifyBaseLogger): Sessions {
  const { errors } = settings
  const store = failClosed(given, errors)
  const tokens = createSessionTokenIssuer(settings, issuer)
  const ender = createSessionEnder(store, tokens, errors)
  const checks = createStoreChecks(settings, store, ender, given instanceof MemoryStore ? 0 : foreignClockSkew)
  const rotate = createRotateSession(settings, store, tokens, ender)
  const withOpaqueTokens = settings.refreshTokenFormat === 'opaque'
  const binding = bindingOf(settings)

  async function create (subject: Identity | object, options: CreateSessionOptions = {}): Promise<SessionTokens> {
    const { claims = {}, fresh = true, metadata = {} } = checkCallOptionNames(options, ['claims', 'fresh', 'metadata'])
    checkMetadata(metadata)
    const createdAt = Date.now()
    const now = Math.floor(createdAt / 1000)
    const owner = { identity: issuer.identityOf(subject), sid: randomUUID(), login: now }
    const expiresAt = tokens.refreshExpiry(now, now)
    const salt = withOpaqueTokens ? newSalt() : ''
    const opaqueToken = withOpaqueTokens ? firstToken(owner.sid, salt, binding) : null
    const current: RotatedToken = { tokenId: opaqueToken === null ? randomUUID() : hashOf(opaqueToken), issuedAt: now, expiresAt, salt }
    // Tokens first: claims that can't be written must not leave a session behind.
    const accessToken = tokens.access(owner, now, claims, fresh)
    const refreshToken = opaqueToken ?? tokens.refresh(owner, current)
    await store.createSession({
      id: owner.sid,
      identity: owner.identity,
      createdAt,
      lastUsedAt: createdAt,
      expiresAt: tokens.recordExpiry(expiresAt),
      accessExpiresAt: tokens.surelyExpired(tokens.accessExpiry(now, now)),
      current,
      previousTokenId: null,
      rotatedAt: null,
      claims,
      metadata
    })
    publish('session.started', { sessionId: owner.sid, identity: owner.identity }, log)
    return { sessionId: owner.sid, accessToken, refreshToken }
  }

  /** An identity as `request.jwtIdentity` has it, or what `userIdentity` makes of an object. */
  function nameOf (subject: Identity | object): string {
    const identity = typeof subject === 'object' ? issuer.identityOf(subject) : readIdentity(subject)
    if (identity === null) throw new TypeError('Sessions are listed and ended by an identity: a non-empty string, a finite number, or an object for userIdentity')
    return identity
  }

  async function revokeToken ({ jti, sid, exp }: JwtClaims): Promise<void> {
    // Of another library: without an id it can't be told from its like.
    if (jti === undefined) throw errors.FST_JWT_INVALID_TOKEN('jti')
    await store.denyToken(jti, sid ?? null, tokens.surelyExpired(exp ?? null))
    publish('token.revoked', { jti, sessionId: sid ?? null }, log)
  }

  return {
    ...checks,
    create,
    rotate: async (request, options = {}) => rotate(request, checkCallOptionNames(options, ['claims']).claims ?? null),

    async list (subject) {
      const sessions = await store.listSessions(nameOf(subject))
      return sessions.map(({ id, createdAt, lastUsedAt, current, metadata }) => ({
        id,
        createdAt: new Date(createdAt),
        lastUsedAt: new Date(lastUsedAt),
        expiresAt: current.expiresAt === null ? null : new Date(current.expiresAt * 1000),
        metadata
      }))
    },

    async revoke (id) {
      if (typeof id !== 'string') throw new TypeError('revokeSession takes a session id, the sid claim of a token; this is none')
      return ender.end(id, 'revoked', log)
    },

    async revokeAll (subject, options = {}) {
      const { except } = checkCallOptionNames(options, ['except'])
      const sessions = await store.listSessions(nameOf(subject))
      const ended = await Promise.all(sessions.filter(({ id }) => id !== except).map(({ id }) => ender.end(id, 'revoked', log)))
      return ended.filter(Boolean).length
    },

    revokeToken,

    async revokeOpaqueToken (token, parsed) {
      let claims: JwtClaims
      try {
        ({ claims } = await checks.verifyOpaque(token, parsed, Date.now()))
      } catch (error) {
        // What is refused for good already needs no denial, so that to log out twice is no error.
        if (isJwtError(error) && (error.code === 'FST_JWT_REVOKED' || error.code === 'FST_JWT_EXPIRED')) return
        throw error
      }
      await revokeToken(claims)
    }
  }
}

/** Found here rather than by a store, whose complaint would read as an outage. */
function checkMetadata (metadata: unknown): void {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) throw new TypeError("'metadata' must be a plain object")
  JSON.stringify(metadata)
}
