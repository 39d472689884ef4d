import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import jwt, { deviceBound, deviceProof, jwtRequired, refreshTokenRequired } from '../../lib/index.ts'
import { secretKey } from './session-app.ts'
import { SoftwareBrowser } from './device.ts'
import type { CreateSessionOptions, JwtExtendedOptions } from '../../lib/index.ts'
import type { Device } from './device.ts'

export const bindingOptions = { secretKey, tokenLocation: 'cookies', deviceBinding: true } satisfies JwtExtendedOptions

/** The routes of an app with cookie sessions. */
export function addRoutes (app: FastifyInstance): void {
  app.post<{ Body: CreateSessionOptions | undefined }>('/login', async (request, reply) => {
    const tokens = await app.jwt.createSession('ada', request.body)
    app.jwt.setSessionCookies(reply, tokens)
    return { sessionId: tokens.sessionId }
  })
  app.post('/refresh', { onRequest: refreshTokenRequired }, async (request, reply) => {
    app.jwt.setSessionCookies(reply, await app.jwt.rotateSession(request))
    return {}
  })
  app.post('/logout', async (request, reply) => ({ ended: await app.jwt.clearSession(request, reply) }))
  app.post('/forget', async (_request, reply) => {
    app.jwt.unsetJwtCookies(reply)
    return {}
  })
  app.get('/me', { onRequest: jwtRequired }, async request => ({ user: request.jwtIdentity, bound: request.jwtClaims?.bound === true, claims: request.jwtClaims }))
  app.post('/change', { onRequest: jwtRequired }, async request => ({ user: request.jwtIdentity }))
  app.get('/vault', { onRequest: jwtRequired, preHandler: deviceBound }, async request => ({ user: request.jwtIdentity }))
  app.post('/transfer', { onRequest: [jwtRequired, deviceProof({ maxAge: 10 })] }, async request => ({ user: request.jwtIdentity }))
}

/** An app behind a proxy that ends TLS. */
export async function boundApp (t: Test, options: JwtExtendedOptions = {}): Promise<FastifyInstance> {
  const app = Fastify({ trustProxy: true })
  t.teardown(() => app.close())
  await app.register(jwt, { ...bindingOptions, ...options })
  addRoutes(app)
  return app
}

/** A browser that has just signed in. */
export async function signedIn (app: Pick<FastifyInstance, 'inject'>, device?: Device): Promise<SoftwareBrowser> {
  const browser = new SoftwareBrowser(app, device)
  const response = await browser.send('POST', '/login')
  if (response.statusCode !== 200) throw new Error(`Not signed in: ${response.body}`)
  return browser
}

/** A browser that has signed in, and bound its session. */
export async function bound (app: Pick<FastifyInstance, 'inject'>, device?: Device): Promise<SoftwareBrowser> {
  const browser = await signedIn(app, device)
  const response = await browser.register()
  if (response.statusCode !== 200) throw new Error(`Not registered: ${response.statusCode} ${response.body}`)
  return browser
}
