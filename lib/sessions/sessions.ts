import { randomUUID } from 'node:crypto'
import { isJwtError } from '../errors.ts'
import { checkCallOptionNames } from '../options/unknown.ts'
import { publish } from '../events.ts'
import { readIdentity } from '../jwt/claims.ts'
import { createSessionEnder } from './end.ts'
import { failClosed } from '../stores/fail-closed.ts'
import { MemoryStore } from '../stores/memory.ts'
import { bindingOf, firstToken, hashOf, newSalt } from './opaque-tokens.ts'
import { createRefreshTokenChecks } from './refresh-tokens.ts'
import { createRotateSession } from './rotate.ts'
import { createSessionTokenIssuer } from './session-tokens.ts'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { Settings } from '../options/settings.ts'
import type { TokenIssuer } from '../jwt/create.ts'
import type { CreateSessionOptions, SessionTokens } from '../types/app-jwt.ts'
import type { AdditionalClaims, Identity, JwtClaims } from '../types/claims.ts'
import type { SessionEnder } from './end.ts'
import type { OpaqueToken } from '../types/verified-token.ts'
import type { RefreshTokenChecks } from './refresh-tokens.ts'
import type { RotatedToken, SessionInfo, Store } from '../types/store.ts'

/** How far the clocks of this process and of a remote store may differ, in milliseconds. */
const remoteClockSkew = 5000

/** Revocation and sessions in a store. Each method rejects with `FST_JWT_STORE_UNAVAILABLE` if the store fails. */
export interface Sessions extends RefreshTokenChecks, Pick<SessionEnder, 'endReused'> {
  create (subject: Identity | object, options?: CreateSessionOptions): Promise<SessionTokens>
  rotate (request: FastifyRequest, options?: { claims?: AdditionalClaims }): Promise<SessionTokens>
  list (subject: Identity | object): Promise<SessionInfo[]>
  revoke (id: string): Promise<boolean>
  revokeAll (subject: Identity | object, options?: { except?: string | undefined }): Promise<number>
  revokeToken (claims: JwtClaims): Promise<void>
  revokeOpaqueToken (token: string, parsed: OpaqueToken): Promise<void>
}

/**
 * Creates the functions behind the asynchronous half of `app.jwt`.
 *
 * @param log The log for events outside of requests.
 */
export function createSessions (settings: Settings, issuer: TokenIssuer, given: Store, log: FastifyBaseLogger): Sessions {
  const { errors } = settings
  const store = failClosed(given, errors)
  const tokens = createSessionTokenIssuer(settings, issuer)
  const ender = createSessionEnder(store, tokens)
  const checks = createRefreshTokenChecks(settings, store, given instanceof MemoryStore ? 0 : remoteClockSkew)
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
    // Create the tokens first: claims that can't be written must not leave a session behind.
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

  /** Reads an identity; an object goes through the `userIdentity` option. @throws {TypeError} */
  function toIdentity (subject: Identity | object): string {
    const identity = typeof subject === 'object' ? issuer.identityOf(subject) : readIdentity(subject)
    if (identity === null) throw new TypeError('Sessions need an identity: a non-empty string, a finite number, or an object for the userIdentity option')
    return identity
  }

  async function revokeToken ({ jti, sid, exp }: JwtClaims): Promise<void> {
    // Another library's token may have no id to deny it by.
    if (jti === undefined) throw errors.FST_JWT_INVALID_TOKEN('jti')
    await store.denyToken(jti, sid ?? null, tokens.surelyExpired(exp ?? null))
    publish('token.revoked', { jti, sessionId: sid ?? null }, log)
  }

  return {
    ...checks,
    endReused: ender.endReused,
    create,
    rotate: async (request, options = {}) => rotate(request, checkCallOptionNames(options, ['claims']).claims ?? null),

    async list (subject) {
      const sessions = await store.listSessions(toIdentity(subject))
      return sessions.map(({ id, createdAt, lastUsedAt, current, metadata }) => ({
        id,
        createdAt: new Date(createdAt),
        lastUsedAt: new Date(lastUsedAt),
        expiresAt: current.expiresAt === null ? null : new Date(current.expiresAt * 1000),
        metadata
      }))
    },

    async revoke (id) {
      if (typeof id !== 'string') throw new TypeError(`revokeSession expects a session id (the \`sid\` claim), got ${typeof id}`)
      return ender.end(id, 'revoked', log)
    },

    async revokeAll (subject, options = {}) {
      const { except } = checkCallOptionNames(options, ['except'])
      const sessions = await store.listSessions(toIdentity(subject))
      const ended = await Promise.all(sessions.filter(({ id }) => id !== except).map(({ id }) => ender.end(id, 'revoked', log)))
      return ended.filter(Boolean).length
    },

    revokeToken,

    async revokeOpaqueToken (token, parsed) {
      let claims: JwtClaims
      try {
        ({ claims } = await checks.verifyOpaque(token, parsed))
      } catch (error) {
        // A token that is refused for good needs no denial. So logging out twice is no error.
        if (isJwtError(error) && (error.code === 'FST_JWT_REVOKED' || error.code === 'FST_JWT_EXPIRED')) return
        throw error
      }
      await revokeToken(claims)
    }
  }
}

/** Checked before the store is called: there, an error would be reported as an outage. */
function checkMetadata (metadata: unknown): void {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) throw new TypeError("'metadata' must be a plain object")
  JSON.stringify(metadata)
}
