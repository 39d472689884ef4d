// Puts the application together. Each concern has a file of its own, so that it can be read and tested by itself.
import http from 'node:http'
import https from 'node:https'
import Fastify from 'fastify'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import jwt from 'fastify-jwt-extended'
import { hashPassword } from './passwords.ts'
import { openStorage } from './storage.ts'
import { adminRoutes } from './routes/admin.ts'
import { authRoutes } from './routes/auth.ts'
import { profileRoutes } from './routes/profile.ts'
import type { FastifyInstance } from 'fastify'
import type { Config } from './config.ts'

export async function buildApp (config: Config): Promise<FastifyInstance> {
  const { tls } = config
  const app = Fastify({
    logger: { level: config.production ? 'info' : 'warn' },
    trustProxy: config.trustProxy,
    serverFactory: handler => tls === null ? http.createServer(handler) : https.createServer(tls, handler)
  })

  const { users, store, redis, close } = await openStorage(config, app.log)
  app.addHook('onClose', close)

  if (config.production) {
    // A request over plain HTTP has shown its token to everybody on the way, so it is refused.
    app.addHook('onRequest', async (request, reply) => {
      if (request.protocol !== 'https') return reply.code(403).send({ statusCode: 403, error: 'Forbidden', message: 'HTTPS required' })
    })
  }
  // Security headers; Strict-Transport-Security is among them, so that browsers don't try HTTP again.
  await app.register(helmet)
  // Counted in Redis, too, where there is one: a limit per process would grow with the processes.
  await app.register(rateLimit, { global: false, ...(redis === null ? {} : { redis }) })

  await app.register(jwt, {
    secretKey: config.secretKey,
    // A token of another application that shares the secret by mistake is refused.
    issuer: 'auth-system',
    accessExpires: '15m',
    refreshExpires: '7 days',
    // However often it is refreshed, a login ends after a month.
    sessionMaxAge: '30 days',
    // A refresh token is a random string here: whoever reads the store can't present one.
    refreshTokenFormat: 'opaque',
    store,
    // The user of a deleted account is refused at once, and not when the token expires.
    userLookup: claims => users.find(claims.identity),
    // Every route needs an access token, unless it says that it is open.
    protect: true
  })

  if (config.admin !== null) {
    const { email, password } = config.admin
    await users.add({ email, name: 'Administrator', passwordHash: await hashPassword(password), roles: ['user', 'admin'] })
  }

  app.get('/health', { config: { jwt: false } }, async () => ({ status: 'ok' }))
  await app.register(authRoutes, { prefix: '/auth', users })
  await app.register(profileRoutes)
  await app.register(adminRoutes, { prefix: '/admin', users })
  return app
}
