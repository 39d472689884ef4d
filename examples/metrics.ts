// Refused tokens, reuse and sessions as counters that Prometheus reads.
//
//   npm run build && node --import ./scripts/typescript.js examples/metrics.ts
import { randomBytes } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import Fastify from 'fastify'
import jwt, { jwtRequired, refreshTokenRequired } from 'fastify-jwt-extended'
import type { JwtEvents } from 'fastify-jwt-extended'

/** Counts by name and label. A label takes few values, or each would be a time series: a code, never an id. */
const counters = new Map<string, number>()
function count (series: string): void {
  counters.set(series, (counters.get(series) ?? 0) + 1)
}

/** An event of fastify-jwt-extended, with its type. */
function on<Name extends keyof JwtEvents> (name: Name, listener: (event: JwtEvents[Name]) => void): void {
  subscribe(`fastify-jwt-extended:${name}`, event => { listener(event as JwtEvents[Name]) })
}

on('token.refused', ({ code }) => { count(`jwt_refused_total{code="${code}"}`) })
on('token.revoked', () => { count('jwt_tokens_revoked_total') })
// Worth an alarm: somebody else has a refresh token of this user.
on('refresh.reused', () => { count('jwt_refresh_reused_total') })
on('session.started', () => { count('jwt_sessions_started_total') })
on('session.rotated', ({ repeated }) => { count(`jwt_sessions_rotated_total{repeated="${repeated}"}`) })
on('session.revoked', ({ cause }) => { count(`jwt_sessions_revoked_total{cause="${cause}"}`) })

const app = Fastify()
// Without JWT_SECRET_KEY a random secret, and all logins end with this process.
await app.register(jwt, { secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32) })

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  reply.header('Cache-Control', 'no-store')
  return app.jwt.createSession(request.body.username)
})
app.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
  reply.header('Cache-Control', 'no-store')
  return app.jwt.rotateSession(request)
})
app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

// For the scraper only: don't publish this route.
app.get('/metrics', async (_request, reply) => {
  reply.type('text/plain; version=0.0.4')
  return [...counters].map(([series, value]) => `${series} ${value}\n`).join('')
})

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Authorization: Bearer none' ${url}/protected
  curl ${url}/metrics`)
