import { createHmac, randomBytes } from 'node:crypto'
import { publish } from '../../events.ts'
import { storeUnavailable } from '../../stores/fail-closed.ts'
import { newSalt } from '../opaque-tokens.ts'
import { loginOf } from '../session-tokens.ts'
import { createSuccessorOf } from '../successor.ts'
import { verifyRefresh, verifyRegistration } from './proof.ts'
import type { FastifyBaseLogger } from 'fastify'
import type { TokenVerifier } from '../../jwt/verify.ts'
import type { Settings } from '../../options/settings.ts'
import type { SessionTokens } from '../../types/app-jwt.ts'
import type { JwtClaims } from '../../types/claims.ts'
import type { DeviceBinding, DeviceChallenge } from '../../types/device-binding.ts'
import type { SessionRecord, Store, StoredSession } from '../../types/store.ts'
import type { SessionEnder } from '../end.ts'
import type { CheckSize, Login, SessionTokenIssuer } from '../session-tokens.ts'

/** What the browser needs to prove that it holds the key. */
export interface OpenChallenge {
  /** The browser's id of the session. */
  readonly identifier: string
  /** The challenge of the next refresh. */
  readonly challenge: string
}

/** A session whose device has just proved that it holds the key. */
export interface ProvedSession extends OpenChallenge {
  readonly tokens: SessionTokens
}

/** The proof in a request. */
export interface PresentedProof {
  /** The JWS; `null` for none. */
  readonly proof: string | null
  /** The URL that it was sent to. */
  readonly url: string
  readonly log: FastifyBaseLogger
  /** Asks the app whether the next access token may be issued; throws if not. No hook has asked: a proof comes without a token. */
  askCallbacks (accessToken: string): Promise<void>
}

/** Binds sessions to devices, and refreshes bound sessions. */
export interface DeviceBindings {
  /** What the browser must sign to bind a session after its login. Derived from the session id, so it is always the same. */
  announcementFor (sid: string): { readonly challenge: string, readonly authorization: string }
  /**
   * Binds a session, once, soon after its login.
   *
   * @param claims The verified claims of an access token of that session.
   * @throws `FST_JWT_DEVICE_PROOF_INVALID`, `FST_JWT_REVOKED`, `FST_JWT_EXPIRED`, `FST_JWT_STORE_UNAVAILABLE`, and what `askCallbacks` throws
   */
  register (claims: JwtClaims & { sid: string }, presented: PresentedProof): Promise<ProvedSession>
  /**
   * Refreshes a bound session.
   *
   * @returns The next tokens; or a challenge, if there was no proof, or if its challenge is spent or unknown. That is no sign of
   *   theft: browsers may send a proof again.
   * @throws As `register`.
   */
  refresh (identifier: string, presented: PresentedProof): Promise<ProvedSession | OpenChallenge>
}

/** How long after the login a session can be bound. Milliseconds. */
const registrationWindow = 5 * 60_000

/** How much longer a challenge lives than the access token that it renews. Milliseconds. */
const challengeMargin = 5 * 60_000

/** A challenge with less time left is not sent again. Milliseconds. */
const leastLife = 60_000

/** Challenges of one session that may be open at once. */
const maxChallenges = 4

/** As in `rotate.ts`. */
const maxAttempts = 20

/** Id of the session, and of its binding. */
const identifierPattern = /^([\da-f-]{36})-([\w-]{22})$/

/** The session id in an identifier; `null` if it is malformed. */
export function sessionIdOf (identifier: string): string | null {
  return identifierPattern.exec(identifier)?.[1] ?? null
}

export function createDeviceBindings (
  settings: Settings, store: Pick<Store, 'getSession' | 'replaceSession' | 'isDenied'>, tokens: SessionTokenIssuer, verifier: TokenVerifier, { end }: SessionEnder, checkCookie: CheckSize
): DeviceBindings {
  const { errors, accessExpires, refreshTokenFormat } = settings
  const successorOf = createSuccessorOf(settings, tokens)
  const challengeLife = Number(accessExpires) * 1000 + challengeMargin

  const derive = (key: Uint8Array, purpose: string, sid: string): string => createHmac('sha256', key).update(`device ${purpose}`).update(sid).digest('base64url')

  function announcements (sid: string): Array<{ challenge: string, authorization: string }> {
    return verifier.keys.opaqueKeys.map(key => ({ challenge: derive(key, 'challenge', sid), authorization: derive(key, 'authorization', sid) }))
  }

  const newChallenge = (now: number): DeviceChallenge => ({ value: randomBytes(32).toString('base64url'), expiresAt: now + challengeLife })

  const identifierOf = ({ id }: SessionRecord, binding: DeviceBinding): string => `${id}-${binding.id}`

  /** The session as it is now. @throws `FST_JWT_REVOKED`, `FST_JWT_EXPIRED` */
  async function read (sid: string): Promise<StoredSession> {
    const stored = await store.getSession(sid)
    if (stored === null) throw errors.FST_JWT_REVOKED()
    const { tokenId, document: { token: { expiresAt } } } = stored.session
    if (expiresAt !== null && expiresAt <= Date.now() / 1000) throw errors.FST_JWT_EXPIRED()
    // The refresh token may have been revoked without its session.
    if (await store.isDenied(tokenId, sid)) throw errors.FST_JWT_REVOKED()
    return stored
  }

  /** Repeats a compare-and-set step. It returns `null` if the session has changed meanwhile. */
  async function settle<T> (step: () => Promise<T | null>): Promise<T> {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const result = await step()
      if (result !== null) return result
    }
    throw storeUnavailable(errors, new Error('the session changes faster than its device can be checked'))
  }

  /** The next tokens of a bound session; `null` if the session has changed meanwhile. */
  async function proceed (session: SessionRecord, binding: DeviceBinding, challenge: DeviceChallenge, fresh: boolean | number, { log, askCallbacks }: PresentedProof): Promise<ProvedSession | null> {
    const salt = refreshTokenFormat === 'opaque' ? newSalt() : ''
    const app = await tokens.askApp(session.identity, session.identity, salt)
    const now = Math.floor(Date.now() / 1000)
    const login: Login = loginOf(session)
    const next = successorOf({ session, generation: session.generation, now, login, salt, claims: null, binding })
    const { token, claims } = next.document
    if (token.expiresAt !== null && token.expiresAt <= now) {
      await end(session.id, 'expired', log)
      throw errors.FST_JWT_EXPIRED()
    }
    // Tokens first: one that can't be created or kept in a cookie must not use up the challenge.
    const accessToken = tokens.access(login, next.generation, now, claims, fresh, app, { bound: true, ...(binding.csrf === undefined ? {} : { csrf: binding.csrf }) })
    const refreshToken = tokens.refresh(login, next.generation, token, next.tokenId, app)
    checkCookie('access', accessToken)
    checkCookie('refresh', refreshToken)
    await askCallbacks(accessToken)
    // If the response of a registration is lost, the login's refresh token must stay valid. A lost refresh is requested again.
    const registered = binding.generation === next.generation
    const change = { ...next, previousTokenId: session.tokenId, rotated: true, used: !registered }
    if (!await store.replaceSession(session.id, session.version, change)) return null
    return { identifier: identifierOf(session, binding), challenge: challenge.value, tokens: { sessionId: session.id, accessToken, refreshToken } }
  }

  /** An open challenge of a session, or a new one; `null` if the session has changed meanwhile. */
  async function openChallenge (session: SessionRecord, binding: DeviceBinding, now: number): Promise<OpenChallenge | null> {
    const open = binding.challenges.findLast(({ expiresAt }) => expiresAt > now + leastLife)
    const identifier = identifierOf(session, binding)
    if (open !== undefined) return { identifier, challenge: open.value }
    const challenge = newChallenge(now)
    const document = { ...session.document, binding: { ...binding, challenges: [challenge] } }
    return await store.replaceSession(session.id, session.version, { document }) ? { identifier, challenge: challenge.value } : null
  }

  return {
    announcementFor: sid => announcements(sid)[0] as { challenge: string, authorization: string },

    async register ({ sid, fresh = false, csrf }, presented) {
      const { proof, url, log } = presented
      if (proof === null) throw errors.FST_JWT_DEVICE_PROOF_INVALID('malformed')
      const { algorithm, publicKey } = verifyRegistration(proof, { url, errors, announced: announcements(sid) })
      const freshLeft = typeof fresh === 'number' ? Math.max(fresh - Math.floor(Date.now() / 1000), 0) : fresh
      const proved = await settle(async () => {
        const { session, now } = await read(sid)
        const { binding, createdAt } = session.document
        // Once only, and soon after the login.
        if (binding !== undefined || now - createdAt > registrationWindow) throw errors.FST_JWT_DEVICE_PROOF_INVALID('jti')
        const challenge = newChallenge(now)
        const id = randomBytes(16).toString('base64url')
        const bound = { id, algorithm, publicKey, generation: session.generation + 1, challenges: [challenge], ...(csrf === undefined ? {} : { csrf }) }
        const result = await proceed(session, bound, challenge, freshLeft === 0 ? false : freshLeft, presented)
        return result === null ? null : { result, identity: session.identity }
      })
      publish('device.bound', { sessionId: sid, identity: proved.identity, algorithm }, log)
      return proved.result
    },

    async refresh (identifier, presented) {
      const { proof, url, log } = presented
      const [, sid, bindingId] = identifierPattern.exec(identifier) ?? []
      if (sid === undefined) throw errors.FST_JWT_REVOKED()
      return settle(async () => {
        const { session, now } = await read(sid)
        const { document: { binding }, identity } = session
        if (binding?.id !== bindingId || binding === undefined) throw errors.FST_JWT_REVOKED()
        if (proof === null) return openChallenge(session, binding, now)
        const signed = verifyRefresh(proof, { url, errors, algorithm: binding.algorithm, publicKey: binding.publicKey })
        const open = binding.challenges.filter(({ expiresAt }) => expiresAt > now)
        if (!open.some(({ value }) => value === signed)) return openChallenge(session, binding, now)
        const challenge = newChallenge(now)
        const challenges = [...open.filter(({ value }) => value !== signed), challenge].slice(-maxChallenges)
        const proved = await proceed(session, { ...binding, challenges }, challenge, false, presented)
        if (proved !== null) publish('device.refreshed', { sessionId: sid, identity }, log)
        return proved
      })
    }
  }
}
