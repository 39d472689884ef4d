// Type tests: `npm run typecheck` compiles this file, and what must not compile is marked. It is never run.
import Fastify from 'fastify'
import type { onRequestHookHandler, preHandlerHookHandler, preValidationHookHandler } from 'fastify'
import jwt, { crossOriginProtection, freshJwtRequired, jwtOptional, jwtRequired, MemoryStore, refreshTokenRequired, verifyJwt } from '../../lib/index.ts'
import type { FoundLocation, JwtClaims, JwtErrorCode, JwtExtendedOptions, OptionsWithKeys, JwtHeader, JwtHook, JwtUser, SessionInfo, SessionTokens, Store } from '../../lib/index.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

/** Compiles only when the two types are the same. */
function same<A, B> (_: Equal<A, B>): void {}

const app = Fastify()
await app.register(jwt, { secretKey: 'x', accessExpires: '15m', tokenLocation: ['headers', 'cookies'] })

// Each hook goes into each phase.
const hooks: JwtHook[] = [jwtRequired, jwtOptional, freshJwtRequired, refreshTokenRequired, crossOriginProtection, verifyJwt({ optional: 'strict' })]
const onRequest: onRequestHookHandler[] = hooks
const preValidation: preValidationHookHandler[] = hooks
const preHandler: preHandlerHookHandler[] = hooks
app.get('/', { onRequest, preValidation, preHandler }, async () => ({}))
app.get('/one', { preHandler: app.jwtRequired, config: { jwt: { fresh: true } } }, async request => {
  same<typeof request.jwtIdentity, string | null>(true)
  same<typeof request.jwtClaims, JwtClaims | null>(true)
  same<typeof request.jwtHeader, JwtHeader | null>(true)
  same<typeof request.jwtLocation, FoundLocation | null>(true)
  same<typeof request.jwtUser, JwtUser | null>(true)
  same<ReturnType<typeof request.verifyJwt>, Promise<void>>(true)
  // @ts-expect-error what a hook attached is not the handler's to change
  request.jwtIdentity = 'somebody else'
  // @ts-expect-error claims are frozen
  if (request.jwtClaims !== null) request.jwtClaims.sub = 'somebody else'
  return {}
})

// app.jwt
same<ReturnType<typeof app.jwt.createAccessToken>, string>(true)
same<ReturnType<typeof app.jwt.decodeToken>, JwtClaims>(true)
same<ReturnType<typeof app.jwt.verifyToken>, boolean>(true)
same<ReturnType<typeof app.jwt.getIdentity>, string | null>(true)
same<ReturnType<typeof app.jwt.createSession>, Promise<SessionTokens>>(true)
same<ReturnType<typeof app.jwt.listSessions>, Promise<SessionInfo[]>>(true)
same<ReturnType<typeof app.jwt.revokeSession>, Promise<boolean>>(true)
same<ReturnType<typeof app.jwt.revokeAllSessions>, Promise<number>>(true)
app.jwt.createAccessToken('user', { expiresIn: '15m', fresh: true, claims: { role: 'admin' } })
app.jwt.createAccessToken(42)
// @ts-expect-error nobody is not an identity
app.jwt.createAccessToken(null)
// @ts-expect-error an identity that may be missing is not one
app.jwt.createAccessToken(undefined)
// @ts-expect-error a refresh token is never fresh
app.jwt.createRefreshToken('user', { fresh: true })

// Options
const store: Store = new MemoryStore()
const options: JwtExtendedOptions = { secretKey: ['a', Buffer.from('b')], store, csrfProtection: ['fetch-metadata', 'double-submit'] }
// Variables of the environment, which may not be set: that is told at start-up.
const fromEnvironment: JwtExtendedOptions = {
  keys: [{ keyId: 'a', secretKey: process.env.A }, { keyId: 'b', algorithm: 'ES256', privateKey: process.env.B, publicKey: process.env.C }],
  issuer: process.env.D,
  audience: process.env.E,
  cookieDomain: process.env.F,
  accessExpires: process.env.G,
  dpop: { nonceSecret: process.env.H }
}
// An issuer that is asked takes the place of keys.
export const asks: OptionsWithKeys = { introspection: { url: 'https://issuer.example/introspect', clientId: 'api', clientSecret: process.env.I } }
// @ts-expect-error neither keys nor an issuer that is asked
export const keyless: OptionsWithKeys = { issuer: 'https://issuer.example' }
// @ts-expect-error an algorithm that is none
const none: JwtExtendedOptions = { algorithm: 'none' }
// @ts-expect-error an unknown location
const elsewhere: JwtExtendedOptions = { tokenLocation: 'body' }
// @ts-expect-error an unknown option
const misspelt: JwtExtendedOptions = { secretkey: 'x' }
// @ts-expect-error a message for a code that there is not
const unknownCode: JwtExtendedOptions = { messages: { FST_JWT_NOPE: 'x' } }
verifyJwt({ type: 'any', locations: ['json', 'queryString'], skipRevocationCheck: true })
// @ts-expect-error an unknown kind of optional
verifyJwt({ optional: 'maybe' })

// A switch over the codes is checked by the compiler.
function statusOf (code: JwtErrorCode): number {
  switch (code) {
    case 'FST_JWT_BAD_REQUEST': case 'FST_JWT_DEVICE_PROOF_INVALID': return 400
    case 'FST_JWT_CLAIMS_REJECTED': case 'FST_JWT_CSRF': case 'FST_JWT_FORBIDDEN': case 'FST_JWT_TOO_MANY_SESSIONS':
    case 'FST_JWT_DEVICE_BOUND': case 'FST_JWT_DEVICE_PROOF_REQUIRED': return 403
    case 'FST_JWT_STORE_UNAVAILABLE': case 'FST_JWT_KEYS_UNAVAILABLE': case 'FST_JWT_INTROSPECTION_UNAVAILABLE':
    case 'FST_JWT_DEVICE_REFRESH_SKIPPED': return 503
    case 'FST_JWT_COOKIE_TOO_LARGE': case 'FST_JWT_NOT_REGISTERED': case 'FST_JWT_BAD_OPTION': return 500
    case 'FST_JWT_MISSING_TOKEN': case 'FST_JWT_EXPIRED': case 'FST_JWT_NOT_YET_VALID': case 'FST_JWT_INVALID_SIGNATURE':
    case 'FST_JWT_INVALID_TOKEN': case 'FST_JWT_ACCESS_REQUIRED': case 'FST_JWT_REFRESH_REQUIRED': case 'FST_JWT_FRESH_REQUIRED':
    case 'FST_JWT_REVOKED': case 'FST_JWT_STALE': case 'FST_JWT_REUSED':
    case 'FST_JWT_DPOP_PROOF': case 'FST_JWT_DPOP_NONCE': case 'FST_JWT_DPOP_BINDING': case 'FST_JWT_USER_NOT_FOUND': return 401
  }
}

export { elsewhere, fromEnvironment, misspelt, none, options, statusOf, unknownCode }
