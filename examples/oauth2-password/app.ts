// The OAuth 2.0 password form (RFC 6749 §4.3), as interactive API documentation uses it to log in: POST /token answers
// with an access token, /users/me wants one, and "Authorize" in Swagger UI knows how to get it.
import Fastify from 'fastify'
import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import jwt, { jwtRequired, scope } from 'fastify-jwt-extended'
import { authenticate, users } from './users.ts'
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'

/** What a token may be used for, and what the documentation says of it. */
const scopes = { me: 'Read your own profile', items: 'Read your items' }
/** Seconds. */
const expiresIn = 30 * 60

interface TokenRequest { grant_type: string, username: string, password: string, scope?: string }

type OAuthError = 'invalid_request' | 'invalid_grant' | 'invalid_scope' | 'unsupported_grant_type'

/** RFC 6749 §5.2. */
function refuse (reply: FastifyReply, error: OAuthError, description: string): FastifyReply {
  return reply.code(400).send({ error, error_description: description })
}

const tokenRequest = {
  type: 'object',
  required: ['grant_type', 'username', 'password'],
  properties: {
    grant_type: { type: 'string' },
    username: { type: 'string', maxLength: 100 },
    // A limit on what is hashed: Argon2 is slow on purpose.
    password: { type: 'string', format: 'password', maxLength: 200 },
    scope: { type: 'string' }
  }
}

const errorBody = {
  type: 'object', properties: { error: { type: 'string' }, error_description: { type: 'string' } }
}

export async function buildApp (secretKey: string | Buffer): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(formbody)
  await app.register(rateLimit, { global: false })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'OAuth 2.0 password form', version: '1.0.0' },
      // Declared here since only the app knows where its tokens come from; which route needs which scope is added by the hooks.
      components: { securitySchemes: { oauth2: { type: 'oauth2', flows: { password: { tokenUrl: '/token', scopes } } } } }
    }
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
  await app.register(jwt, { secretKey, accessExpires: expiresIn })

  app.post<{ Body: TokenRequest }>('/token', {
    config: { rateLimit: { max: 20, timeWindow: '1 minute' } },
    schema: {
      summary: 'Log in',
      consumes: ['application/x-www-form-urlencoded'],
      body: tokenRequest,
      response: {
        200: {
          type: 'object',
          properties: { access_token: { type: 'string' }, token_type: { type: 'string' }, expires_in: { type: 'integer' }, scope: { type: 'string' } }
        },
        400: errorBody
      }
    },
    onSend: async (_request, reply) => { reply.header('cache-control', 'no-store').header('pragma', 'no-cache') },
    // A missing field, a field that comes twice, and a body that is no form are an invalid_request.
    errorHandler (error: FastifyError, _request, reply) {
      const { statusCode = 500 } = error
      if (statusCode >= 500 || statusCode === 429) return reply.send(error)
      return refuse(reply, 'invalid_request', error.validation === undefined ? 'The request must be a form' : 'grant_type, username and password are required, once each')
    }
  }, async (request, reply) => {
    if (!request.headers['content-type']?.startsWith('application/x-www-form-urlencoded')) return refuse(reply, 'invalid_request', 'The request must be a form')
    const { grant_type: grantType, username, password, scope: asked = '' } = request.body
    if (grantType !== 'password') return refuse(reply, 'unsupported_grant_type', 'grant_type must be password')
    const user = await authenticate(username, password)
    // The same answer, after the same time, for an unknown name and a wrong password.
    if (user === undefined) return refuse(reply, 'invalid_grant', 'Incorrect username or password')
    const wanted = asked.split(' ').filter(name => name !== '')
    if (!wanted.every(name => Object.hasOwn(scopes, name) && user.scopes.includes(name))) return refuse(reply, 'invalid_scope', 'A scope is unknown, or not yours to ask for')
    // RFC 6749 §3.3: who asks for nothing gets what he may have.
    const granted = wanted.length === 0 ? user.scopes : [...new Set(wanted)]
    return {
      access_token: app.jwt.createAccessToken(username, { fresh: true, claims: { scope: granted.join(' ') } }),
      token_type: 'bearer',
      expires_in: expiresIn,
      scope: granted.join(' ')
    }
  })

  app.get('/users/me', { preHandler: [jwtRequired, scope('me')], schema: { summary: 'Who am I' } }, async request => {
    const username = request.jwtIdentity as string
    return { username, full_name: users.get(username)?.fullName, scopes: String(request.jwtClaims?.['scope']).split(' ') }
  })

  app.get('/users/me/items', { preHandler: [jwtRequired, scope('items')], schema: { summary: 'What is mine' } }, async request => {
    return [{ item_id: 1, owner: request.jwtIdentity }]
  })
  return app
}
