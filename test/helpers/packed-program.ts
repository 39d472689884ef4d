/** A program on the packed package, for whatever may run it, and what it prints. */
export const program = `import { generateKeyPairSync } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired, refreshTokenRequired, role } from 'fastify-jwt-extended'

const sent = []
async function main (options) {
  const app = Fastify()
  await app.register(jwt, { ...options, tokenLocation: ['headers', 'cookies'] })
  app.get('/', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))
  app.get('/admin', { preHandler: [jwtRequired, role('admin')] }, async () => ({}))
  app.post('/login', async (_request, reply) => { app.jwt.setSessionCookies(reply, await app.jwt.createSession('user123')) ; return {} })
  app.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => { app.jwt.setSessionCookies(reply, await app.jwt.rotateSession(request)) ; return {} })
  app.post('/logout', async (request, reply) => ({ loggedOut: await app.jwt.clearSession(request, reply) }))
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const cookiesOf = response => response.headers.getSetCookie().map(line => line.slice(0, line.indexOf(';'))).join('; ')
  const call = async (method, path, headers = {}) => {
    const response = await fetch(url + path, { method, headers })
    const body = await response.json()
    sent.push([response.status, body.code ?? body, response.headers.get('www-authenticate')])
    return cookiesOf(response)
  }
  const cookie = await call('POST', '/login')
  await call('GET', '/', { cookie })
  await call('GET', '/', { authorization: 'Bearer ' + app.jwt.createAccessToken('user456') })
  await call('GET', '/')
  await call('GET', '/admin', { cookie })
  await call('POST', '/refresh', { cookie, 'sec-fetch-site': 'cross-site' })
  const next = await call('POST', '/refresh', { cookie })
  await call('POST', '/logout', { cookie: next })
  await call('GET', '/', { cookie: next })
  await app.close()
}
main({ secretKey: 'a secret that is long enough for HS256' })
  .then(() => main({ algorithm: 'EdDSA', ...generateKeyPairSync('ed25519') }))
  .then(() => { console.log(JSON.stringify(sent)) })
`

const once = [
  [200, {}, null],
  [200, { user: 'user123' }, null],
  [200, { user: 'user456' }, null],
  [401, 'FST_JWT_MISSING_TOKEN', 'Bearer'],
  [403, 'FST_JWT_FORBIDDEN', 'Bearer error="insufficient_scope", error_description="Missing role: admin"'],
  [403, 'FST_JWT_CSRF', null],
  [200, {}, null],
  [200, { loggedOut: true }, null],
  [401, 'FST_JWT_REVOKED', 'Bearer error="invalid_token", error_description="Token has been revoked"']
]

/** What it prints, parsed: what a secret and what a key pair have answered. */
export const printed = [...once, ...once]
