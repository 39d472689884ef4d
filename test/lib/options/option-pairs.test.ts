import Fastify from 'fastify'
import t from 'tap'
import jwt, { MemoryStore } from '../../../lib/index.ts'
import type { OptionsWithKeys } from '../../../lib/index.ts'
import { resolveOptions } from '../../../lib/options/settings.ts'

const secretKey = 'a secret of more than thirty-two bytes'
const doubleSubmit = { csrfProtection: 'double-submit', tokenLocation: 'cookies' } as const

t.test('a duration without a unit says how both readings are written', async t => {
  for (const accessExpires of ['900', ' 1.5 ']) {
    t.throws(() => resolveOptions({ secretKey, accessExpires }), { code: 'FST_JWT_BAD_OPTION', message: new RegExp(`option 'accessExpires' takes seconds .*'${accessExpires.trim()}' has no unit; write ${accessExpires.trim()} or '${accessExpires.trim()}s'$`) })
  }
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  t.throws(() => app.jwt.createAccessToken('user123', { expiresIn: '900' }), { name: 'TypeError', message: /'900' has no unit; write 900 or '900s'$/ })
})

/** Options that can't work, by what the message names first. */
const refused: ReadonlyArray<[option: string, options: object, remedy: RegExp]> = [
  ['skipPaths[0]', { protect: true, skipPaths: ['login'] }, /begins with \//],
  ['skipPaths[0]', { protect: true, skipPaths: ['/a*b'] }, /ending in \*/],
  ['skipPaths[0]', { protect: true, skipPaths: [7] }, /got 7/],
  ['skipPaths', { skipPaths: ['/login'] }, /protect: true/],
  ['identityClaim', { identityClaim: 'exp' }, /has another meaning/],
  ['identityClaim', { identityClaim: 'iss' }, /has another meaning/],
  ['refreshCookieName', { refreshCookieName: 'same', accessCookieName: 'same' }, /different names/],
  ['accessCsrfCookieName', { ...doubleSubmit, accessCsrfCookieName: 'refresh_token_cookie' }, /must all differ/],
  ['accessCsrfCookieName', { ...doubleSubmit, accessCsrfCookieName: '__Host-csrf' }, /cookieSecure: true/],
  ['refreshCsrfCookieName', { ...doubleSubmit, cookieSecure: true, refreshCsrfCookieName: '__Host-csrf', refreshCsrfCookiePath: '/session' }, /refreshCsrfCookiePath: '\/'/],
  ['accessCookieName', { cookieSecure: true, cookieDomain: 'example.com', accessCookieName: '__Host-access' }, /no cookieDomain/],
  ['accessCookieName', { accessCookieName: '__secure-access' }, /cookieSecure: true/],
  ['cookieSamesite', { cookieSamesite: 'None', cookieSecure: false }, /cookieSecure/],
  ['csrfInCookies', { csrfInCookies: false }, /double-submit/],
  ['csrfCheckForm', { csrfCheckForm: true, csrfProtection: false }, /double-submit/],
  ['accessCsrfFieldName', { accessCsrfFieldName: 'x' }, /double-submit/],
  ['implicitRefresh', { implicitRefresh: 60 }, /'cookies'/],
  ...[
    { accessCookieName: 'at' }, { refreshCookiePath: '/session' }, { cookieDomain: 'example.com' }, { cookieSamesite: 'Strict' }, { cookieHttponly: true }, { sessionCookie: false },
    { csrfProtection: 'fetch-metadata' }, { csrfProtection: false }, { csrfMethods: ['POST'] }, { csrfProtection: 'double-submit', csrfInCookies: true }
  ].map(options => [Object.keys(options)[0] as string, { ...options, tokenLocation: ['headers', 'json'] }, /tokenLocation does not have 'cookies'; add it there, or leave this option out/] as [string, object, RegExp]),
  ['implicitRefresh', { implicitRefresh: 60, tokenLocation: 'cookies', accessExpires: false }, /nothing to renew/],
  ['implicitRefresh', { implicitRefresh: 900, tokenLocation: 'cookies' }, /shorter than accessExpires/],
  ['store', { store: {} }, /no method denyToken/],
  ['store', { store: 'redis' }, /new RedisStore/],
  ['store', { store: null }, /new RedisStore/],
  ['refreshReuseInterval', { store: false, refreshReuseInterval: 5 }, /needs a store/],
  ['refreshTokenFormat', { store: false, refreshTokenFormat: 'opaque' }, /needs a store/],
  ['sessionMaxAge', { store: false, sessionMaxAge: '30d' }, /needs a store/],
  ['jwksPath', { jwksPath: 'keys' }, /well-known/],
  ['jwksPath', { jwksPath: 7 }, /well-known/]
]

for (const [option, options, remedy] of refused) {
  t.test(`start-up stops at ${JSON.stringify(options)}, naming ${option} and the remedy`, async t => {
    const app = Fastify()
    const error = await app.register(jwt, { secretKey, ...options } as OptionsWithKeys).then(() => null, (error: Error & { code: string }) => error)
    t.equal(error?.code, 'FST_JWT_BAD_OPTION')
    t.match(error?.message, `option '${option}'`)
    t.match(error?.message, remedy)
    await app.close()
  })
}

t.test('a store of one\'s own, cookie name prefixes that fit, and an issuer that is both written and required are taken', async t => {
  const settings = resolveOptions({
    secretKey,
    store: new MemoryStore(),
    cookieSecure: true,
    tokenLocation: 'cookies',
    accessCookieName: '__Host-access',
    refreshCookieName: '__Secure-refresh',
    refreshCookiePath: '/session',
    issuer: 'us',
    audience: ['a', 'b']
  })
  t.same(settings.decodeIssuer, ['us'])
  t.same(settings.decodeAudience, ['a', 'b'])
  t.same(resolveOptions({ secretKey, issuer: 'us', decodeIssuer: ['them', 'us'] }).decodeIssuer, ['them', 'us'])
})

t.test('decodeToken tells a misspelt option or type from a bad token', async t => {
  const app = Fastify()
  await app.register(jwt, { secretKey })
  const token = app.jwt.createAccessToken('user')
  t.throws(() => app.jwt.decodeToken(token, { type: 'acces' as 'access' }), { name: 'TypeError', message: /'access', 'refresh' or 'any'/ })
  t.throws(() => app.jwt.decodeToken(token, { allowExpire: true } as object), { name: 'TypeError', message: /allowExpire/ })
  await app.close()
})

t.test('options about cookies are taken with extractToken, which may read what the app sets, and an undefined one is none', async t => {
  t.equal(resolveOptions({ secretKey, extractToken: () => undefined, accessCookieName: 'at' }).accessCookieName, 'at')
  t.ok(resolveOptions({ secretKey, cookieDomain: undefined, trustedOrigins: ['https://app.example.com'] } as object))
})

t.test('a cookie with a token that does not expire is kept as long as browsers keep any, 400 days', async t => {
  const app = Fastify()
  await app.register(jwt, { secretKey, tokenLocation: 'cookies', accessExpires: false })
  app.get('/', async (_request, reply) => {
    app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user'))
    return {}
  })
  t.equal((await app.inject('/')).cookies[0]?.maxAge, 400 * 24 * 60 * 60)
  await app.close()
})
