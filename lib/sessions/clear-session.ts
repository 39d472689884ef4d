import { refuseCrossOrigin, refuseWithoutCsrfToken } from '../authenticate/csrf.ts'
import { resolveHookOptions } from '../authenticate/hook-options.ts'
import { createLocators } from '../authenticate/locate.ts'
import { isRefusal } from '../errors.ts'
import { opaqueCsrfToken } from './opaque-tokens.ts'
import type { FastifyRequest } from 'fastify'
import type { Locator } from '../authenticate/locate.ts'
import type { Sessions } from './sessions.ts'
import type { Registration } from '../registration.ts'
import type { JwtClaims } from '../types/claims.ts'

/** Ends the sessions of all tokens in a request, including expired ones. @returns Whether a session has ended. */
export type EndHeldSession = (request: FastifyRequest) => Promise<boolean>

/** The claims of a token that are needed to end its session. */
type Held = Pick<JwtClaims, 'sid' | 'jti' | 'exp' | 'csrf' | 'identity'> & { readonly foreign: boolean }

export function createEndHeldSession ({ settings, verifier }: Registration, sessions: Sessions): EndHeldSession {
  // The type `any` covers access and refresh cookies.
  const locators = createLocators(settings, resolveHookOptions({ type: 'any' }))

  /** Reads a token that our keys or an accepted issuer have made; `null` for any other. */
  async function read (token: string, request: FastifyRequest): Promise<Held | null> {
    const opaque = sessions.parseOpaque(token)
    // A genuine opaque token contains the id of its session, so the store is not queried.
    if (opaque?.genuine === true) return { sid: opaque.sessionId, identity: '', csrf: opaqueCsrfToken(token), foreign: false }
    try {
      const verified = await (opaque === null ? verifier.verifyExpired(token, request) : sessions.verifyOpaque(token, opaque))
      return { ...verified.claims, foreign: verified.foreign === true }
    } catch (error) {
      if (isRefusal(error)) return null
      throw error
    }
  }

  /** The texts at one location. A malformed one holds no token. */
  function textsIn (locator: Locator, request: FastifyRequest): string[] {
    try {
      const found = locator.find(request)
      return found === undefined ? [] : [found, ...locator.others(request, found)]
    } catch (error) {
      if (isRefusal(error)) return []
      throw error
    }
  }

  /**
   * The tokens of a request.
   *
   * Double submit: a request carries one CSRF token, which is that of the access cookie or that of the refresh cookie. If it matches one
   * cookie of a session, it is good for the other one, too.
   */
  async function heldBy (request: FastifyRequest): Promise<Held[]> {
    const held: Held[] = []
    const proven = new Set<string>()
    const refused = new Map<string, unknown>()
    for (const locator of locators) {
      for (const text of textsIn(locator, request)) {
        if (locator.cookie !== null) refuseCrossOrigin(request, settings)
        const token = await read(text, request)
        if (token === null) continue
        held.push(token)
        if (locator.cookie === null) continue
        // Identities and session ids are unique for one issuer only, so a token of another issuer is good for itself alone.
        const owner = token.foreign ? `token ${held.length}` : token.sid === undefined ? `identity ${token.identity}` : `session ${token.sid}`
        try {
          refuseWithoutCsrfToken(request, token, locator.cookie, settings)
          proven.add(owner)
        } catch (error) {
          refused.set(owner, error)
        }
      }
    }
    for (const [owner, error] of refused) if (!proven.has(owner)) throw error
    return held
  }

  return async request => {
    let ended = false
    // All tokens are checked before any session is ended.
    for (const { sid, jti, exp, foreign } of await heldBy(request)) {
      if (sid !== undefined && !foreign) ended = await sessions.endOwn(sid, request.log) || ended
      else if (jti !== undefined) await sessions.revokeToken({ jti, ...(exp === undefined ? {} : { exp }) })
    }
    return ended
  }
}
