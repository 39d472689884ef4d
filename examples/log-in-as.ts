// Support staff see the site as one of its users does, and go back to their own login. Staff and users have cookies of their own, so
// that one login never replaces the other.
//
//   npm run build && node --import ./scripts/typescript.js examples/log-in-as.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { crossOriginProtection, freshJwtRequired, guard, jwtRequired, role } from 'fastify-jwt-extended'

declare module 'fastify-jwt-extended' {
  interface JwtClaims {
    /** Who acts for the user of the token (RFC 8693 §4.1). */
    act?: { sub: string }
  }
}

const app = Fastify()
// Without JWT_SECRET_KEY a random secret, and all logins end with this process.
const secretKey = process.env.JWT_SECRET_KEY ?? randomBytes(32)
await app.register(jwt, { secretKey, tokenLocation: 'cookies' })

app.post<{ Body: { username: string } }>('/login', { preHandler: crossOriginProtection }, async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  app.jwt.setSessionCookies(reply, await app.jwt.createSession(request.body.username))
  return { login: true }
})

// A session that somebody else acts in says so in each of its access tokens.
app.get('/me', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity, actor: request.jwtClaims?.act?.sub ?? null }))

// Not fresh, so that staff change no password. A guard says it where freshness is not asked.
app.post('/password', { preHandler: freshJwtRequired }, async () => ({ changed: true }))
const byTheUser = guard((_request, claims) => claims.act === undefined, { message: 'Not while acting for a user' })
app.post('/orders', { preHandler: [jwtRequired, byTheUser] }, async () => ({ ordered: true }))

// Logs the user out, and staff back to their own login, which has never ended.
app.post('/logout', async (request, reply) => ({ ended: await app.jwt.clearSession(request, reply) }))

await app.register(async staff => {
  await staff.register(jwt, {
    secretKey,
    tokenLocation: 'cookies',
    // A token of the site does not pass here, also not in a cookie of this name.
    audience: 'staff',
    accessCookieName: 'staff_access',
    refreshCookieName: 'staff_refresh',
    accessCookiePath: '/staff',
    refreshCookiePath: '/staff'
  })

  staff.post<{ Body: { username: string } }>('/login', { preHandler: crossOriginProtection }, async (request, reply) => {
    // As above: check a password before this line, and who is staff.
    staff.jwt.setSessionCookies(reply, await staff.jwt.createSession(request.body.username, { claims: { roles: ['support'] } }))
    return { login: true }
  })

  staff.post<{ Params: { user: string } }>('/log-in-as/:user', { preHandler: [jwtRequired, role('support')] }, async (request, reply) => {
    const { user } = request.params
    const actor = request.jwtIdentity as string
    request.log.info({ user, actor }, 'Support logs in as a user')
    const tokens = await app.jwt.createSession(user, {
      claims: { act: { sub: actor } },
      // What `listSessions` shows the user.
      metadata: { device: 'Support', actor },
      fresh: false,
      expiresIn: '1 hour',
      persistent: false
    })
    app.jwt.setSessionCookies(reply, tokens)
    return { user, actor }
  })

  staff.get('/me', { preHandler: jwtRequired }, async request => ({ staff: request.jwtIdentity }))
}, { prefix: '/staff' })

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -c jar -H 'Content-Type: application/json' -d '{"username":"sam"}' ${url}/staff/login
  curl -b jar -c jar -X POST ${url}/staff/log-in-as/ada
  curl -b jar ${url}/me
  curl -b jar -c jar -X POST ${url}/logout
  curl -b jar ${url}/staff/me`)
