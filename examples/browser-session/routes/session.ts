import { Type } from 'typebox'
import { crossOriginProtection, jwtRequired, refreshTokenRequired, verifyJwt } from 'fastify-jwt-extended'
import { hashPassword, isPassword } from '../passwords.ts'
import { credentials, newCredentials, password } from './credentials.ts'
import { noStore } from './no-store.ts'
import { signedIn } from './signed-in.ts'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type {} from '@fastify/cookie'
import type { FastifyReply } from 'fastify'
import type { Accounts } from '../accounts.ts'

/** Where a session starts, goes on and ends: the routes that the refresh cookie is sent to. */
const sessionRoutes: FastifyPluginAsyncTypebox<{ accounts: Accounts, refreshCookie: string }> = async (app, { accounts, refreshCookie }) => {
  app.addHook('onRequest', noStore)

  // Each of these routes acts without an access token, or before there is one, so no token's CSRF check would stand
  // between it and a page of another site that signs its visitors in as someone else, or out.
  app.addHook('onRequest', crossOriginProtection)

  // One address gets a few tries at a password per minute.
  const guessing = { rateLimit: {} }

  // The session that this browser has already, if any: a new one takes its place.
  const replaced = verifyJwt({ type: 'refresh', optional: true })

  // Whether somebody is signed in, and no refusal if nobody is: the pages decide by it where to go.
  // The refresh token of a session that is bound to a device is none that a page could use: there the access token tells.
  app.get('/', { onRequest: verifyJwt({ type: 'any', optional: true }) }, async request => ({
    signedIn: request.jwtIdentity !== null,
    // Who signs out here has no cookie any more. One that is refused belongs to a session that was ended elsewhere, unless the browser
    // says that it could not refresh a session that is bound to it.
    ended: request.jwtIdentity === null && request.cookies[refreshCookie] !== undefined && request.headers['secure-session-skipped'] === undefined
  }))

  app.post('/sign-up', { onRequest: replaced, config: guessing, schema: { body: newCredentials } }, async (request, reply) => {
    const name = request.body.name.toLowerCase()
    const passwordHash = await hashPassword(request.body.password)
    // That a name is taken can't be kept secret where names are chosen. Where they are e-mail addresses it can: answer
    // the same, and send a mail.
    if (!await accounts.create({ name, passwordHash, createdAt: Date.now() })) {
      return reply.code(409).send({ statusCode: 409, code: 'NAME_TAKEN', error: 'Conflict', message: 'This name is taken' })
    }
    await startSession(reply, name, request.jwtClaims?.sid)
    return reply.code(201).send({ name })
  })

  app.post('/sign-in', { onRequest: replaced, config: guessing, schema: { body: credentials } }, async (request, reply) => {
    const name = request.body.name.toLowerCase()
    const account = await accounts.find(name)
    if (!await isPassword(account?.passwordHash, request.body.password)) {
      return reply.code(401).send({ statusCode: 401, code: 'WRONG_CREDENTIALS', error: 'Unauthorized', message: 'Wrong name or password' })
    }
    await startSession(reply, name, request.jwtClaims?.sid)
    return { name }
  })

  // Asks for the password again. Its answer is a new session in place of the old one, whose access token is fresh
  // (OWASP's Session Management cheat sheet: renew the session id after a re-authentication).
  app.post('/confirm', { onRequest: jwtRequired, config: guessing, schema: { body: Type.Object({ password }) } }, async (request, reply) => {
    const { name, sessionId } = signedIn(request)
    const account = await accounts.find(name)
    if (!await isPassword(account?.passwordHash, request.body.password)) {
      return reply.code(401).send({ statusCode: 401, code: 'WRONG_CREDENTIALS', error: 'Unauthorized', message: 'Wrong password' })
    }
    await startSession(reply, name, sessionId)
    return reply.code(204).send()
  })

  // The cookies are left alone when this is refused: another tab may just have got new ones.
  app.post('/refresh', { onRequest: refreshTokenRequired }, async (request, reply) => {
    app.jwt.setSessionCookies(reply, await app.jwt.rotateSession(request))
    return reply.code(204).send()
  })

  // By whatever token is left, also when the access token has expired; and open to those who have none any more.
  app.post('/sign-out', async (request, reply) => {
    await app.jwt.clearSession(request, reply)
    return reply.code(204).send()
  })

  async function startSession (reply: FastifyReply, name: string, oldSession: string | undefined): Promise<void> {
    const { ip, headers } = reply.request
    const tokens = await app.jwt.createSession(name, {
      metadata: { ip, userAgent: headers['user-agent']?.slice(0, 300) ?? 'unknown' }
    })
    if (oldSession !== undefined) await app.jwt.revokeSession(oldSession)
    app.jwt.setSessionCookies(reply, tokens)
  }
}

export default sessionRoutes
