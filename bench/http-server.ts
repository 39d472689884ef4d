// One server of the HTTP benchmark: `node http-server.ts <scenario>` listens on a free port and prints it as JSON, together
// with the requests that the load generator is to send.
import cookie from '@fastify/cookie'
import fastifyJwt from '@fastify/jwt'
import { createSigner, createVerifier } from 'fast-jwt'
import Fastify from 'fastify'
import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'
import type { JwtExtendedOptions } from 'fastify-jwt-extended'
import type { ScenarioName } from './http-scenarios.ts'

const secret = 'a-secret-of-more-than-thirty-two-bytes'
const sign = createSigner({ key: secret, algorithm: 'HS256', expiresIn: 3_600_000 })

/** Tokens like those this package makes, for every server the same in form. */
function makeTokens (count: number): string[] {
  return Array.from({ length: count }, (_, i) => sign({
    sub: `user${i}`, type: 'access', fresh: false, jti: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`, nbf: Math.floor(Date.now() / 1000)
  }))
}

/** So many that none is remembered any more when it comes again. */
const untilForgotten = 200_000

const inHeader = (token: string): string => `Authorization: Bearer ${token}`
const inCookie = (token: string): string => `Cookie: theme=dark; access_token_cookie=${token}; lang=en`

interface Scenario {
  tokens: number
  header: (token: string) => string
  setUp: (app: FastifyInstance) => Promise<onRequestHookHandler[]>
}

const ours = (options: JwtExtendedOptions) => async (app: FastifyInstance): Promise<onRequestHookHandler[]> => {
  await app.register(jwt, { secretKey: secret, ...options })
  return [jwtRequired]
}

const fastifyJwtWith = (cache: boolean | number) => async (app: FastifyInstance): Promise<onRequestHookHandler[]> => {
  await app.register(fastifyJwt, { secret, verify: { algorithms: ['HS256'], cache } })
  return [async request => { await request.jwtVerify() }]
}

const scenarios: Record<ScenarioName, Scenario> = {
  bare: { tokens: 500, header: inHeader, setUp: async () => [] },
  'bare with cookies': { tokens: 500, header: inCookie, setUp: async app => { await app.register(cookie); return [] } },
  ours: { tokens: 500, header: inHeader, setUp: ours({ store: false }) },
  'ours, 1 token': { tokens: 1, header: inHeader, setUp: ours({ store: false }) },
  'ours, 20,000 tokens': { tokens: 20_000, header: inHeader, setUp: ours({ store: false }) },
  'ours, every token new': { tokens: untilForgotten, header: inHeader, setUp: ours({ store: false }) },
  'ours with cookies': { tokens: 500, header: inCookie, setUp: ours({ store: false, tokenLocation: 'cookies' }) },
  'ours with memory store': { tokens: 500, header: inHeader, setUp: ours({}) },
  '@fastify/jwt': { tokens: 500, header: inHeader, setUp: fastifyJwtWith(false) },
  '@fastify/jwt with cache': { tokens: 500, header: inHeader, setUp: fastifyJwtWith(1000) },
  '@fastify/jwt, every token new': { tokens: untilForgotten, header: inHeader, setUp: fastifyJwtWith(false) },
  'hook by hand on fast-jwt': {
    tokens: 500,
    header: inHeader,
    setUp: async () => {
      const verify: (token: string) => object = createVerifier({ key: secret, algorithms: ['HS256'] })
      return [(request, reply, done) => {
        try {
          verify((request.headers.authorization ?? '').slice(7))
        } catch {
          reply.code(401).send({ error: 'Unauthorized' })
          return
        }
        done()
      }]
    }
  }
}

const scenario = scenarios[process.argv[2] as ScenarioName]
// A connection may wait for its turn for longer than the 72 seconds that Fastify leaves it open.
const app = Fastify({ keepAliveTimeout: 3_600_000 })
const hooks = await scenario.setUp(app)
app.get('/', { preHandler: hooks }, async () => ({ hello: 'world' }))
await app.listen({ host: '127.0.0.1', port: 0 })
const { port } = app.server.address() as { port: number }
const requests = makeTokens(scenario.tokens).map(token => `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${scenario.header(token)}\r\n\r\n`)
process.send?.({ port, requests })
process.on('disconnect', () => process.exit())
