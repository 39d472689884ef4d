import { badOption } from '../errors.ts'
import type { ResolvedDeviceBinding, Settings } from './table.ts'

/** The claims that only this package may write. */
export const ownedClaims = [
  'sub', 'identity', 'iat', 'exp', 'nbf', 'jti', 'type', 'fresh', 'csrf', 'sid', 'gen', 'persistent', 'bound', 'auth_time'
] as const

/** Options that only matter for cookies. Not `trustedOrigins`, which `crossOriginProtection` uses, too. */
const cookieOnly = /^(?:cookie|sessionCookie$|csrf|(?:access|refresh)(?:Csrf|Cookie))/

/** Checks the options that depend on each other. @throws `FST_JWT_BAD_OPTION` with the option and the remedy. */
export function checkTogether (settings: Settings, given: ReadonlyMap<string, unknown>): void {
  const cookies = settings.tokenLocation.includes('cookies')
  const doubleSubmit = settings.csrfProtection !== false && settings.csrfProtection.includes('double-submit')

  // 'identity' is allowed: it was Flask-JWT-Extended's default before version 4.
  if (!['sub', 'identity'].includes(settings.identityClaim) && [...ownedClaims, 'iss', 'aud'].includes(settings.identityClaim)) {
    throw badOption('identityClaim', `can't be '${settings.identityClaim}', which has another meaning; use 'sub' or a claim of your own`)
  }
  if (settings.accessCookieName === settings.refreshCookieName) {
    throw badOption('refreshCookieName', 'is the same as accessCookieName: one cookie would overwrite the other; give them different names')
  }
  checkCookiePrefix('accessCookieName', settings.accessCookieName, 'accessCookiePath', settings)
  checkCookiePrefix('refreshCookieName', settings.refreshCookieName, 'refreshCookiePath', settings)
  if (doubleSubmit && settings.csrfInCookies) {
    checkCookiePrefix('accessCsrfCookieName', settings.accessCsrfCookieName, 'accessCsrfCookiePath', settings)
    checkCookiePrefix('refreshCsrfCookieName', settings.refreshCsrfCookieName, 'refreshCsrfCookiePath', settings)
    const names = [settings.accessCookieName, settings.refreshCookieName, settings.accessCsrfCookieName, settings.refreshCsrfCookieName]
    if (new Set(names).size < names.length) {
      throw badOption('accessCsrfCookieName', 'and the other cookie names must all differ, or one cookie would overwrite another')
    }
  }
  if (settings.cookiePartitioned && settings.cookieSecure !== true) {
    throw badOption('cookiePartitioned', 'needs cookieSecure: true, or browsers drop the cookie; set cookieSecure')
  }
  if (settings.cookieSamesite === 'None' && settings.cookieSecure !== true) {
    throw badOption('cookieSamesite', "is 'None', which needs cookieSecure: true, or browsers drop the cookie; set cookieSecure")
  }
  for (const name of given.keys()) {
    const csrfOnly = /^(access|refresh)Csrf|^csrf(InCookies|CheckForm)$/.test(name)
    if (csrfOnly && !doubleSubmit) throw badOption(name, "does nothing without double submit; add csrfProtection: 'double-submit'")
  }
  for (const name of ['jwksMaxAge', 'jwksMaxStale', 'jwksFetch']) {
    if (given.get(name) !== undefined && settings.jwksUri === null && settings.issuers === null) throw badOption(name, "has no effect, since no keys are fetched; set 'issuers' or 'jwksUri', or leave it out")
  }
  if (settings.jwksMaxStale < settings.jwksMaxAge) throw badOption('jwksMaxStale', 'is shorter than jwksMaxAge, so keys would expire sooner if the issuer is down than if it is up; make it longer')
  if (settings.implicitRefresh !== false && !cookies) throw badOption('implicitRefresh', "renews cookies; add 'cookies' to tokenLocation")
  if (settings.skipPaths.length > 0 && settings.protect !== true) throw badOption('skipPaths', 'does nothing without protect: true; set protect')
  if (settings.dpop) checkProofs(settings)
  if (settings.deviceBinding !== false) checkDeviceBinding(settings, settings.deviceBinding)
  else if (given.get('deviceBindingPath') !== undefined) throw badOption('deviceBindingPath', 'does nothing without deviceBinding: true; add it')
  if (settings.store === false) {
    for (const name of ['refreshReuseInterval', 'refreshUntilUsed', 'refreshTokenFormat', 'sessionMaxAge', 'maxSessions', 'deviceBinding']) {
      if (given.get(name) !== undefined) throw badOption(name, 'needs a store for sessions; leave store out, or give one')
    }
  }
  // With `extractToken`, an app may set cookies that it reads itself.
  if (!cookies && settings.extractToken === null) {
    const idle = [...given].find(([name, value]) => value !== undefined && cookieOnly.test(name))?.[0]
    if (idle !== undefined) throw badOption(idle, "has no effect, since tokenLocation does not have 'cookies'; add it there, or leave this option out")
  }
}

/** What proofs of possession need (RFC 9449 §7.1). */
function checkProofs ({ tokenLocation, headerName, headerType, store }: Settings): void {
  if (store === false) throw badOption('dpop', 'records used proofs in the store, and store is false; leave store out, or give one')
  const denylist = store !== null && 'denylist' in store ? store.denylist : store
  if (denylist !== null && typeof denylist.useOnce !== 'function') throw badOption('dpop', 'needs a store with the method useOnce, which this one lacks; see the store contract')
  if (!tokenLocation.includes('headers')) throw badOption('dpop', "takes tokens in the Authorization header; add 'headers' to tokenLocation")
  if (headerName !== 'authorization') throw badOption('dpop', `takes tokens in the Authorization header (RFC 9449 §7.1), and headerName is '${headerName}'; leave headerName out`)
  if (headerType === '' || headerType.toLowerCase() === 'dpop') throw badOption('headerType', "must be another scheme than that of bound tokens, such as 'Bearer', with the dpop option")
}

/** Seconds. A browser refreshes a cookie two minutes before it expires, and signs at most six times in nine minutes. */
export const leastBoundCookieLife = 300

/** What binding to devices needs. */
function checkDeviceBinding ({ tokenLocation, accessExpires, cookieSecure, cookieDomain }: Settings, { includeSite }: ResolvedDeviceBinding): void {
  if (!tokenLocation.includes('cookies')) throw badOption('deviceBinding', "binds a cookie; add 'cookies' to tokenLocation")
  if (accessExpires === false || accessExpires < leastBoundCookieLife) {
    throw badOption('accessExpires', `must be at least ${leastBoundCookieLife} seconds with deviceBinding, since browsers refresh a cookie early and sign only a few times in a row`)
  }
  if (cookieSecure === false) throw badOption('deviceBinding', 'needs cookies that are Secure; leave cookieSecure out, or set it to true')
  if (includeSite !== (cookieDomain !== null)) {
    throw badOption('deviceBinding', includeSite
      ? 'has includeSite, but the other hosts of the site get no cookie; set cookieDomain, too'
      : 'binds one host, but cookieDomain sends the cookie to others, which could not refresh it; set includeSite: true, or leave cookieDomain out')
  }
}

/** The `__Host-` and `__Secure-` name prefixes of RFC 6265bis §4.1.3, which browsers enforce by dropping the cookie. */
function checkCookiePrefix (option: string, name: string, pathOption: 'accessCookiePath' | 'refreshCookiePath' | 'accessCsrfCookiePath' | 'refreshCsrfCookiePath', settings: Settings): void {
  const prefix = /^__(host|secure)-/i.exec(name)?.[1]?.toLowerCase()
  if (prefix === undefined) return
  if (settings.cookieSecure !== true) throw badOption(option, `is '${name}', a prefix that needs cookieSecure: true, or browsers drop the cookie`)
  if (prefix === 'host' && settings[pathOption] !== '/') throw badOption(option, `is '${name}', a prefix that needs ${pathOption}: '/', or browsers drop the cookie`)
  if (prefix === 'host' && settings.cookieDomain !== null) throw badOption(option, `is '${name}', a prefix that allows no cookieDomain, or browsers drop the cookie`)
}
