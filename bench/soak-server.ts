/*
 * The server of the soak, in a process of its own: so that its memory is its own. It logs everything to standard output,
 * where `soak.ts` searches it, and tells its heap when asked.
 */
import Fastify from 'fastify'
import jwt, { crossOriginProtection, freshJwtRequired, jwtRequired, refreshTokenRequired } from '../lib/index.ts'

const app = Fastify({ logger: { level: 'trace' } })
await app.register(jwt, {
  secretKey: process.env['SOAK_SECRET'] as string,
  tokenLocation: ['headers', 'cookies', 'queryString', 'json'],
  refreshTokenFormat: process.env['SOAK_FORMAT'] === 'opaque' ? 'opaque' : 'jwt',
  // Short lives, so that in ten minutes everything that is kept has been forgotten many times over.
  accessExpires: 20,
  refreshExpires: 40,
  refreshReuseInterval: 0
})

app.post<{ Body: { name: string } }>('/login', { onRequest: crossOriginProtection }, async request => app.jwt.createSession(request.body.name, { metadata: { agent: request.headers['user-agent'] } }))
app.post('/rotate', { preHandler: refreshTokenRequired }, async request => app.jwt.rotateSession(request))
app.post('/logout', { preHandler: jwtRequired }, async request => ({ ended: await app.jwt.revokeSession(request.jwtClaims?.sid as string) }))
app.post('/revoke', { preHandler: jwtRequired }, async request => {
  if (request.jwtClaims !== null) await app.jwt.revokeToken(request.jwtClaims)
  return {}
})
app.route({ method: ['GET', 'POST'], url: '/protected', preHandler: jwtRequired, handler: async request => ({ identity: request.jwtIdentity }) })
app.get('/fresh', { preHandler: freshJwtRequired }, async request => ({ identity: request.jwtIdentity }))

await app.listen({ port: 0, host: '127.0.0.1' })

process.on('message', () => {
  globalThis.gc?.()
  const { heapUsed, rss } = process.memoryUsage()
  process.send?.({ heapUsed, rss })
})
process.on('disconnect', () => { process.exit() })
const address = app.server.address()
if (typeof address === 'object') process.send?.({ port: address?.port })
