import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { unsupportedCall } from '../errors.ts'
import { publish } from '../events.ts'
import { requireIdentity } from '../jwt/identity.ts'
import { checkCallOptionNames } from '../options/unknown.ts'
import { toSeconds } from '../options/validators.ts'
import { failClosed } from '../stores/fail-closed.ts'
import { createDeviceBindings } from './device-binding/bindings.ts'
import { createSessionEnder } from './end.ts'
import { newSalt } from './opaque-tokens.ts'
import { createRefreshTokenChecks } from './refresh-tokens.ts'
import { createRotateSession } from './rotate.ts'
import { createSessionTokenIssuer, laterOf, loginOf } from './session-tokens.ts'
import { createUsageMarker } from './usage.ts'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { TokenIssuer } from '../jwt/create.ts'
import type { ProofVerifier } from '../dpop/verifier.ts'
import type { TokenVerifier } from '../jwt/verify.ts'
import type { Settings } from '../options/settings.ts'
import type { CreateSessionOptions, SessionTokens, UpdateSessionOptions } from '../types/app-jwt.ts'
import type { AdditionalClaims, Identity, JwtClaims } from '../types/claims.ts'
import type { RotatedToken, SessionInfo, SessionRecord, Store } from '../types/store.ts'
import type { DeviceBindings } from './device-binding/bindings.ts'
import type { SessionEnder } from './end.ts'
import type { CheckSize, Login } from './session-tokens.ts'
import type { RefreshTokenChecks } from './refresh-tokens.ts'
import type { UsageMarker } from './usage.ts'

/** Captured here, because an app's test that fakes all timers replaces the module's function, and would wait for ever. */
const nextTurn = setImmediate

/** Sessions that are ended or listed in one step. Other requests run between two steps. */
const pageSize = 200

/** Revocation and refresh-token rotation over a store. If the store fails, each method rejects with `FST_JWT_STORE_UNAVAILABLE`. */
export interface Sessions extends RefreshTokenChecks, UsageMarker, Pick<SessionEnder, 'endReused'> {
  /** Whether this store has the session of every token that our own keys have signed. */
  readonly complete: boolean
  readonly devices: DeviceBindings
  /** Ends a session if it is bound to a device. Its cookies were replaced or cleared, and the browser would restore them. */
  endBound (sid: string, log: FastifyBaseLogger): Promise<void>
  create (subject: Identity | object, options?: CreateSessionOptions): Promise<SessionTokens>
  rotate (request: FastifyRequest, options?: { claims?: AdditionalClaims }): Promise<SessionTokens>
  list (subject: Identity | object): Promise<SessionInfo[]>
  revoke (session: string | JwtClaims): Promise<boolean>
  revokeAll (subject: Identity | object, options?: { except?: string | undefined }): Promise<number>
  update (id: string, changes: UpdateSessionOptions): Promise<boolean>
  updateAll (subject: Identity | object, changes: UpdateSessionOptions & { except?: string | undefined }): Promise<number>
  revokeToken (claims: Pick<JwtClaims, 'jti' | 'sid' | 'exp'>): Promise<void>
  /** Ends a session of ours. @returns Whether there was one. */
  endOwn (sid: string, log: FastifyBaseLogger): Promise<boolean>
  /**
   * Keeps the record of a session at least as long as a token of it that expires at `exp`.
   *
   * @throws `FST_JWT_REVOKED`, `FST_JWT_EXPIRED`, `FST_JWT_DEVICE_BOUND`
   */
  extend (sid: string, exp: number): Promise<void>
}

/** What sessions are made of. */
export interface SessionParts {
  readonly settings: Settings
  readonly issuer: TokenIssuer
  readonly verifier: TokenVerifier
  readonly store: Store
  /** `null` without the `dpop` option. */
  readonly proofs: ProofVerifier | null
  /** Called with each token before anything is stored for it. Throws if it must go into a cookie and is too large. */
  readonly checkSize: CheckSize
  /** The same, for a token that always goes into a cookie. */
  readonly checkCookie: CheckSize
  /** Logs the events that no request causes. */
  readonly log: FastifyBaseLogger
}

export function createSessions ({ settings, issuer, verifier, store: given, proofs, checkSize, checkCookie, log }: SessionParts): Sessions {
  const { errors, maxSessions, refreshTokenFormat, issuer: iss, audience: aud } = settings
  const store = failClosed(given, errors)
  const tokens = createSessionTokenIssuer(settings, issuer, verifier, checkSize)
  const ender = createSessionEnder(store)
  const usage = createUsageMarker(settings, store, given, log)
  const checks = createRefreshTokenChecks(settings, store, verifier)
  const rotate = createRotateSession(settings, store, tokens, ender)
  // An instance that only verifies accepts tokens whose sessions are kept by another instance.
  const complete = verifier.keys.signing !== null

  /** The key of the request's proof, which the login is bound to. @throws {TypeError} */
  async function keyOf (request: FastifyRequest | undefined): Promise<Pick<Login, 'jkt'>> {
    if (request === undefined) return {}
    if (proofs === null) throw unsupportedCall('dpop', "is off, so that createSession can bind no session to the key of a request; set it to 'allowed' or 'required', or leave request out")
    const jkt = await proofs.keyOf(request)
    return jkt === null ? {} : { jkt }
  }

  async function create (subject: Identity | object, options: CreateSessionOptions = {}): Promise<SessionTokens> {
    const { claims = {}, fresh = true, metadata = {}, request, ...lasting } = checkCallOptionNames(options, ['claims', 'fresh', 'metadata', 'expiresIn', 'persistent', 'request'])
    checkMetadata(metadata)
    const chosen = { ...readLasting(lasting), ...await keyOf(request) }
    const identity = issuer.identityOf(subject)
    const salt = refreshTokenFormat === 'opaque' ? newSalt() : ''
    const app = await tokens.askApp(identity, subject, salt)
    const createdAt = Date.now()
    const now = Math.floor(createdAt / 1000)
    const owner = { identity, sid: randomUUID(), login: now, ...chosen }
    const token: RotatedToken = { issuedAt: now, expiresAt: tokens.refreshExpiry(now, owner), salt }
    const tokenId = salt === '' ? randomUUID() : tokens.opaqueId(owner, 0, salt)
    // Tokens first: if one can't be created, no session must be left behind.
    const accessToken = tokens.access(owner, 0, now, claims, fresh, app)
    const refreshToken = tokens.refresh(owner, 0, token, tokenId, app)
    const session: SessionRecord = {
      id: owner.sid,
      identity: owner.identity,
      version: 0,
      generation: 0,
      // The first refresh token has no predecessor to keep valid.
      used: true,
      staleBefore: 0,
      tokenId,
      previousTokenId: null,
      rotatedAt: null,
      expiresAt: laterOf(tokens.retention(token.expiresAt), tokens.retention(tokens.accessExpiry(now, owner))),
      document: {
        createdAt, lastUsedAt: createdAt, token, claims, metadata, ...chosen, ...(iss === null ? {} : { iss }), ...(aud === null ? {} : { aud })
      }
    }
    const { created, ended } = await store.createSession(session, maxSessions)
    for (const sessionId of ended) publish('session.revoked', { sessionId, cause: 'limit' }, log)
    if (!created) throw maxSessions?.whenFull === 'refuse' ? errors.FST_JWT_TOO_MANY_SESSIONS() : errors.FST_JWT_REVOKED()
    publish('session.started', { sessionId: owner.sid, identity: owner.identity }, log)
    return { sessionId: owner.sid, accessToken, refreshToken, ...tokens.tokenType(owner) }
  }

  /** Reads an identity; an object goes through the `userIdentity` option. @throws {TypeError} */
  function toIdentity (subject: Identity | object): string {
    return typeof subject === 'object' && subject !== null ? issuer.identityOf(subject) : requireIdentity(subject, 'The identity of sessions')
  }

  /** The sessions of an identity, newest first. */
  async function * pagesOf (identity: string): AsyncGenerator<readonly SessionRecord[]> {
    for (let after: string | null = null, first = true; first || after !== null; first = false) {
      const page = await store.listSessions(identity, after, pageSize)
      yield page.sessions
      after = page.next
    }
  }

  async function list (subject: Identity | object): Promise<SessionInfo[]> {
    const sessions: SessionInfo[] = []
    const now = Date.now() / 1000
    for await (const page of pagesOf(toIdentity(subject))) {
      // A record may outlive its refresh token, because an access token is still valid.
      const live = page.filter(({ document: { token } }) => token.expiresAt === null || token.expiresAt > now)
      sessions.push(...live.map(toInfo))
    }
    return sessions
  }

  /** @returns Whether there is such a session. */
  async function update (id: string, { claims, metadata, now = false }: UpdateSessionOptions): Promise<boolean> {
    for (;;) {
      const stored = await store.getSession(id)
      if (stored === null) return false
      const { identity, version, generation, document, staleBefore } = stored.session
      if (claims !== undefined) {
        // Claims that can't be written into a token are refused here, before they are stored.
        const app = await tokens.askApp(identity, identity, document.token.salt)
        tokens.access(loginOf(stored.session), generation, Math.floor(Date.now() / 1000), claims, false, app)
      }
      const changed = { ...document, claims: claims ?? document.claims, metadata: metadata ?? document.metadata }
      if (await store.replaceSession(id, version, { document: changed, staleBefore: now ? generation + 1 : staleBefore })) return true
    }
  }

  async function revokeAll (subject: Identity | object, options: { except?: string | undefined } = {}): Promise<number> {
    const { except = null } = checkCallOptionNames(options, ['except'])
    const identity = toIdentity(subject)
    let count = 0
    for (let more = true; more;) {
      const page = await store.endSessions(identity, except, pageSize)
      for (const sessionId of page.ended) publish('session.revoked', { sessionId, cause: 'revoked' }, log)
      count += page.ended.length
      // Repeated until nothing ends: by then, a login that was in progress is listed.
      more = page.more || page.ended.length > 0
      // A synchronous store has not yielded to other requests.
      if (more) await nextTurn()
    }
    return count
  }

  return {
    ...checks,
    ...usage,
    complete,
    devices: createDeviceBindings(settings, store, tokens, verifier, ender, checkCookie),
    endReused: ender.endReused,
    create,
    rotate: async (request, options = {}) => rotate(request, checkCallOptionNames(options, ['claims']).claims ?? null),
    list,
    revokeAll,
    async endBound (sid, log) {
      const stored = await store.getSession(sid)
      if (stored?.session.document.binding !== undefined) await ender.end(sid, 'revoked', log)
    },
    endOwn: async (sid, log) => ender.end(sid, 'revoked', log),

    async revoke (session) {
      const id = typeof session === 'object' && session !== null ? session.sid : session
      if (typeof id !== 'string') throw new TypeError('revokeSession expects a session id (the sid claim), or the claims of a token that has one')
      const ended = await ender.end(id, 'revoked', log)
      // A session without a record, such as another issuer's. The lifetime of its tokens is unknown.
      if (!ended) await store.denySession(id, null)
      return ended
    },

    async revokeToken ({ jti, sid, exp }) {
      // Without a `jti`, a token of another library can't be told from similar ones.
      if (jti === undefined) throw errors.FST_JWT_INVALID_TOKEN('jti')
      await store.denyToken(jti, sid ?? null, tokens.retention(exp ?? null))
      publish('token.revoked', { jti, sessionId: sid ?? null }, log)
    },

    update: async (id, changes) => update(id, checkChanges(checkCallOptionNames(changes, changeNames))),

    async updateAll (subject, options) {
      const { except, ...changes } = checkCallOptionNames(options, [...changeNames, 'except'])
      checkChanges(changes)
      const identity = toIdentity(subject)
      let count = 0
      for await (const page of pagesOf(identity)) {
        for (const { id } of page) {
          if (id !== except && await update(id, changes)) count++
        }
        await nextTurn()
      }
      return count
    },

    async extend (sid, exp) {
      for (;;) {
        const stored = await store.getSession(sid)
        if (stored === null) throw errors.FST_JWT_REVOKED()
        const { session: { version, expiresAt, document } } = stored
        // Only the device of a bound session gets new tokens.
        if (document.binding !== undefined) throw errors.FST_JWT_DEVICE_BOUND()
        // A session with its own lifetime ends with its refresh token.
        if (document['expiresIn'] !== undefined && document.token.expiresAt !== null && exp > document.token.expiresAt) throw errors.FST_JWT_EXPIRED()
        const needed = laterOf(expiresAt, tokens.retention(exp))
        if (needed === expiresAt || await store.replaceSession(sid, version, { expiresAt: needed })) return
      }
    }
  }
}

function toInfo ({ id, document: { createdAt, lastUsedAt, token, metadata, binding } }: SessionRecord): SessionInfo {
  return {
    id,
    createdAt: new Date(createdAt),
    lastUsedAt: new Date(lastUsedAt),
    expiresAt: token.expiresAt === null ? null : new Date(token.expiresAt * 1000),
    metadata,
    bound: binding !== undefined
  }
}

/** The lifetime and persistence that a login sets for its session. @throws {TypeError} */
function readLasting ({ expiresIn, persistent }: Pick<CreateSessionOptions, 'expiresIn' | 'persistent'>): Pick<Login, 'expiresIn' | 'persistent'> {
  const seconds = expiresIn === false ? false : toSeconds(expiresIn)
  if (expiresIn !== undefined && (seconds === undefined || (seconds !== false && seconds < 1))) {
    throw new TypeError("'expiresIn' takes seconds (at least 1), a duration such as '30 days', or false")
  }
  if (persistent !== undefined && typeof persistent !== 'boolean') throw new TypeError("'persistent' takes true or false")
  return { ...(seconds === undefined ? {} : { expiresIn: seconds }), ...(persistent === undefined ? {} : { persistent }) }
}

const changeNames = ['claims', 'metadata', 'now']

/** @throws {TypeError} */
function checkChanges (changes: UpdateSessionOptions): UpdateSessionOptions {
  const { metadata, now } = changes
  if (metadata !== undefined) checkMetadata(metadata)
  if (now !== undefined && typeof now !== 'boolean') throw new TypeError("'now' takes true or false")
  return changes
}

/** Checked here, because an error of the store would look like an outage. */
function checkMetadata (metadata: unknown): void {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) throw new TypeError("'metadata' must be a plain object")
  JSON.stringify(metadata)
}
