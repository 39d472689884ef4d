import { readPayload } from '../../jwt/unverified.ts'
import { leastBoundCookieLife } from '../../options/cross-checks.ts'
import { writeRegistration } from './header-fields.ts'
import type { FastifyReply } from 'fastify'
import type { TokenCookies } from '../../cookies/token-cookies.ts'
import type { Settings } from '../../options/settings.ts'
import type { Sessions } from '../sessions.ts'

/** Tells the browser at login that it may bind the session to its device. */
export type Announce = (reply: FastifyReply, accessToken: string) => void

/** On a reply: the session whose cookies it sets; `null` if it clears both cookies. */
export const kCookiesOf = Symbol('fastify-jwt-extended.cookiesOf')

declare module 'fastify' {
  interface FastifyReply {
    [kCookiesOf]?: string | null
  }
}

/** The host on which a session with `includeSite` must be registered; `null` for any host. */
export function siteOf ({ deviceBinding, cookieDomain }: Settings): string | null {
  return deviceBinding !== false && deviceBinding.includeSite ? String(cookieDomain).replace(/^\./, '').toLowerCase() : null
}

/** @param path The path of the registration, as the browser sees it. */
export function createAnnounce (settings: Settings, cookies: TokenCookies, { devices }: Sessions, path: string): Announce {
  const site = siteOf(settings)

  /** The session of an access token, if the token comes from a login and lives long enough; otherwise `null`. */
  function loginOf (accessToken: string): string | null {
    const { type, sid, gen, bound, exp, persistent = !settings.sessionCookie } = readPayload(accessToken) ?? {}
    if (type !== 'access' || typeof sid !== 'string' || gen !== 0 || bound !== undefined) return null
    // The browser keeps the key after it is closed, so a session that should end then would live on.
    if (persistent !== true) return null
    return typeof exp === 'number' && exp - Date.now() / 1000 > leastBoundCookieLife - 1 ? sid : null
  }

  return (reply, accessToken) => {
    const sid = loginOf(accessToken)
    // Browsers bind nothing over plain HTTP. Only the site's own host may register a session for the whole site.
    if (sid === null || !cookies.isSecure(reply) || (site !== null && reply.request.hostname.toLowerCase() !== site)) return
    reply.header('secure-session-registration', writeRegistration({ path, ...devices.announcementFor(sid) }))
  }
}
