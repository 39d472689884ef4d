// An API whose tokens are bound to a key of the client (DPoP, RFC 9449): POST /token answers to a login and to a refresh, /profile
// wants a token with a proof. A token that somebody reads in a log is worth nothing without the key.
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import fastifyStatic from '@fastify/static'
import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import jwt, { jwtRequired } from 'fastify-jwt-extended'
import { authenticate, users } from '../oauth2-password/users.ts'
import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import type { SessionTokens } from 'fastify-jwt-extended'

interface TokenRequest { grant_type?: string, username?: string, password?: string, refresh_token?: string }

/** Seconds. */
const accessExpires = 300

const form = (request: FastifyRequest): TokenRequest => (request.body ?? {}) as TokenRequest

/** The `error` of an OAuth 2.0 token response (RFC 6749 §5.2, RFC 9449 §5 and §8). */
function oauthErrorOf ({ code }: FastifyError): string {
  switch (code) {
    case 'FST_JWT_DPOP_NONCE': return 'use_dpop_nonce'
    case 'FST_JWT_DPOP_PROOF': return 'invalid_dpop_proof'
    default: return code.startsWith('FST_JWT_') ? 'invalid_grant' : 'invalid_request'
  }
}

export async function buildApp (secretKey: string | Buffer): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(formbody)
  await app.register(rateLimit, { global: false })
  await app.register(fastifyStatic, { root: fileURLToPath(new URL('public/', import.meta.url)) })
  await app.register(jwt, {
    secretKey,
    accessExpires,
    refreshTokenFormat: 'opaque',
    // Every token needs a proof, and every proof a nonce: no client can make proofs in advance.
    dpop: { mode: 'required', nonce: true },
    // RFC 6749 §6: a refresh token comes in the form.
    extractToken: (request, type) => type === 'refresh' ? form(request).refresh_token : undefined
  })

  function answer ({ accessToken, refreshToken, tokenType }: SessionTokens): object {
    return { access_token: accessToken, token_type: tokenType, expires_in: accessExpires, refresh_token: refreshToken }
  }

  app.post('/token', {
    config: { rateLimit: { max: 60, timeWindow: '1 minute' } },
    onSend: async (_request, reply) => { reply.header('cache-control', 'no-store') },
    errorHandler (error: FastifyError, _request, reply) {
      const { statusCode = 500 } = error
      if (statusCode >= 500 || statusCode === 429) return reply.send(error)
      // The nonce is in the header DPoP-Nonce already.
      return reply.code(400).send({ error: oauthErrorOf(error), error_description: error.message })
    }
  }, async (request, reply) => {
    const { grant_type: grantType, username, password } = form(request)
    if (grantType === 'refresh_token') {
      await request.verifyJwt({ type: 'refresh' })
      return answer(await app.jwt.rotateSession(request))
    }
    if (grantType !== 'password') return reply.code(400).send({ error: 'unsupported_grant_type' })
    const user = typeof username === 'string' && typeof password === 'string' ? await authenticate(username, password) : undefined
    if (user === undefined) return reply.code(400).send({ error: 'invalid_grant', error_description: 'Incorrect username or password' })
    // The proof of this request says which key the session is bound to.
    return answer(await app.jwt.createSession(username as string, { request }))
  })

  app.get('/profile', { preHandler: jwtRequired }, async request => ({
    name: users.get(request.jwtIdentity as string)?.fullName,
    key: (request.jwtClaims?.['cnf'] as { jkt: string }).jkt
  }))
  return app
}
