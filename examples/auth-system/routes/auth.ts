import { verifyJwt } from 'fastify-jwt-extended'
import { hashPassword, passwordMatches } from '../passwords.ts'
import type { FastifyPluginAsync } from 'fastify'
import type { SessionTokens } from 'fastify-jwt-extended'
import type { User, Users } from '../users.ts'

interface Credentials { email: string, password: string }
interface Registration extends Credentials { name?: string }

const email = { type: 'string', pattern: '^\\s*[^@\\s]+@[^@\\s]+\\s*$', maxLength: 254 }
// A limit on what is hashed: Argon2 is slow on purpose.
const registration = {
  type: 'object',
  required: ['email', 'password'],
  additionalProperties: false,
  properties: { email, password: { type: 'string', minLength: 12, maxLength: 200 }, name: { type: 'string', maxLength: 100 } }
}
const credentials = {
  type: 'object',
  required: ['email', 'password'],
  properties: { email, password: { type: 'string', minLength: 1, maxLength: 200 } }
}

const normalize = (address: string): string => address.trim().toLowerCase()

/** What goes into each access token, besides the identity. */
const claimsOf = ({ name, roles }: User) => ({ name, roles })

/** RFC 6749 §5.1. */
function answer ({ accessToken, refreshToken }: SessionTokens) {
  return { access_token: accessToken, refresh_token: refreshToken, token_type: 'Bearer', expires_in: 900 }
}

/** Register, log in, refresh, log out. */
export const authRoutes: FastifyPluginAsync<{ users: Users }> = async (app, { users }) => {
  // By address, against a machine that tries many accounts; and by account, against many machines that try one.
  const byAddress = { max: 20, timeWindow: '1 minute' }
  const byAccount = app.createRateLimit({ max: 10, timeWindow: '15 minutes', keyGenerator: request => `account:${normalize((request.body as Credentials).email)}` })

  // No cache may keep an answer with a token in it.
  app.addHook('onSend', async (_request, reply) => { reply.header('cache-control', 'no-store') })

  app.post<{ Body: Registration }>('/register', {
    config: { jwt: false, rateLimit: byAddress },
    schema: { body: registration }
  }, async (request, reply) => {
    const { password, name = '' } = request.body
    const email = normalize(request.body.email)
    const added = await users.add({ email, name, passwordHash: await hashPassword(password), roles: ['user'] })
    if (!added) return reply.code(409).send({ statusCode: 409, error: 'Conflict', message: 'Email already registered' })
    return reply.code(201).send({ message: 'Registration successful', email })
  })

  app.post<{ Body: Credentials }>('/login', {
    config: { jwt: false, rateLimit: byAddress },
    schema: { body: credentials }
  }, async (request, reply) => {
    const limit = await byAccount(request)
    if (!limit.isAllowed && limit.isExceeded) {
      reply.header('retry-after', String(limit.ttlInSeconds))
      return reply.code(429).send({ statusCode: 429, error: 'Too Many Requests', message: 'Too many attempts for this account' })
    }
    const user = await users.find(normalize(request.body.email))
    if (!await passwordMatches(user?.passwordHash, request.body.password) || user === undefined) {
      // The same answer for an unknown address and a wrong password.
      return reply.code(401).send({ statusCode: 401, error: 'Unauthorized', message: 'Invalid credentials' })
    }
    const session = await app.jwt.createSession(user.email, {
      claims: claimsOf(user),
      metadata: { ip: request.ip, userAgent: request.headers['user-agent'] ?? null }
    })
    return answer(session)
  })

  app.post('/refresh', {
    // In the body, as in the tutorial, or as a bearer token.
    preHandler: verifyJwt({ type: 'refresh', locations: ['json', 'headers'] })
  }, async request => {
    // Read again, so that a role given or taken since the login counts from here on.
    return answer(await app.jwt.rotateSession(request, { claims: claimsOf(request.jwtUser as User) }))
  })

  app.post('/logout', async request => {
    // The session ends, and with it its access tokens and its refresh token, at once and everywhere.
    await app.jwt.revokeSession(request.jwtClaims?.sid as string)
    return { message: 'Logged out successfully' }
  })

  app.post('/logout-everywhere', async request => {
    return { ended: await app.jwt.revokeAllSessions(request.jwtIdentity as string) }
  })
}
