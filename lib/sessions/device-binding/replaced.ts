import { resolveHookOptions } from '../../authenticate/hook-options.ts'
import { createLocators } from '../../authenticate/locate.ts'
import { isRefusal } from '../../errors.ts'
import { kCookiesOf } from './announce.ts'
import type { FastifyRequest, onSendHookHandler } from 'fastify'
import type { Locator } from '../../authenticate/locate.ts'
import type { Registration } from '../../registration.ts'
import type { JwtClaims } from '../../types/claims.ts'
import type { Sessions } from '../sessions.ts'

/** Reads the access cookies of a request that one of our own keys has signed. With `allowExpired`, it reads expired ones too. */
export function createReadAccessCookies ({ settings, verifier }: Registration): (request: FastifyRequest, allowExpired: boolean) => Promise<JwtClaims[]> {
  const [locator] = createLocators(settings, resolveHookOptions({ locations: ['cookies'] })).filter(({ cookie }) => cookie !== null) as [Locator]

  return async (request, allowExpired) => {
    const found = locator.find(request)
    const claims: JwtClaims[] = []
    for (const token of found === undefined ? [] : [found, ...locator.others(request, found)]) {
      try {
        const verified = await (allowExpired ? verifier.verifyExpired(token, request) : verifier.verify(token, request))
        if (verified.foreign !== true && verified.claims.type === 'access') claims.push(verified.claims)
      } catch (error) {
        if (!isRefusal(error)) throw error
      }
    }
    return claims
  }
}

/**
 * Creates the hook that ends a bound session if a reply clears its cookies, or replaces them by those of another session. The
 * browser still has the key, and would restore the cookies.
 */
export function createEndReplaced (registration: Registration, sessions: Sessions): onSendHookHandler {
  const readAccessCookies = createReadAccessCookies(registration)

  async function endReplaced (request: FastifyRequest, kept: string | null): Promise<void> {
    for (const { sid } of await readAccessCookies(request, true)) {
      if (sid !== undefined && sid !== kept) await sessions.endBound(sid, request.log)
    }
  }

  return function endReplacedOnSend (request, reply, payload, done) {
    const kept = reply[kCookiesOf]
    // An error that clears cookies is no logout.
    if (kept === undefined || reply.statusCode >= 400) {
      done(null, payload)
      return
    }
    endReplaced(request, kept).then(() => { done(null, payload) }, (error: unknown) => {
      request.log.error({ err: error }, 'A bound session whose cookies were replaced could not be ended')
      done(null, payload)
    })
  }
}
