// One server of the HTTP benchmark, as its user would write and start it: JavaScript, Fastify's default options, no flags.
// `node http-server.js <scenario>` tells its parent the port and the requests to send, and its CPU time whenever it is asked.
import cookie from '@fastify/cookie'
import fastifyJwt from '@fastify/jwt'
import { createSigner, createVerifier } from 'fast-jwt'
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'

const secret = 'a-secret-of-more-than-thirty-two-bytes'
const sign = createSigner({ key: secret, algorithm: 'HS256', expiresIn: 3_600_000 })

/** Tokens like those this package makes, for every server the same in form. */
function makeTokens (count) {
  return Array.from({ length: count }, (_, i) => sign({
    sub: `user${i}`, type: 'access', fresh: false, jti: `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`, nbf: Math.floor(Date.now() / 1000)
  }))
}

const inHeader = token => `Authorization: Bearer ${token}`
const inCookie = token => `Cookie: theme=dark; access_token_cookie=${token}; lang=en`

// Every app registers a plugin. Fastify loads plugins by `process.nextTick`, and after that V8 compiles this function worse in many a
// process: an app without any would be no fair measure.
const bare = async app => {
  await app.register(async () => {})
  return []
}

const nothing = async app => [...await bare(app), (request, reply, done) => { done() }]

const ours = (options = {}) => async app => {
  await app.register(jwt, { secretKey: secret, ...options })
  return [jwtRequired]
}

const fastifyJwtWith = cache => async app => {
  await app.register(fastifyJwt, { secret, verify: { algorithms: ['HS256'], cache } })
  return [async request => { await request.jwtVerify() }]
}

const byHand = async app => {
  await bare(app)
  const verify = createVerifier({ key: secret, algorithms: ['HS256'] })
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

/** So many that none is remembered any more when it comes again. */
const untilForgotten = 200_000

const scenarios = {
  bare: [500, inHeader, bare],
  'bare with cookies': [500, inCookie, async app => { await app.register(cookie); return [] }],
  'a hook that does nothing': [500, inHeader, nothing],
  ours: [500, inHeader, ours()],
  'ours, 1 token': [1, inHeader, ours()],
  'ours, 20,000 tokens': [20_000, inHeader, ours()],
  'ours, 100,000 tokens': [100_000, inHeader, ours()],
  'ours, every token new': [untilForgotten, inHeader, ours()],
  'ours with cookies': [500, inCookie, ours({ tokenLocation: 'cookies' })],
  'ours without a store': [500, inHeader, ours({ store: false })],
  '@fastify/jwt': [500, inHeader, fastifyJwtWith(false)],
  '@fastify/jwt with cache': [500, inHeader, fastifyJwtWith(1000)],
  '@fastify/jwt, every token new': [untilForgotten, inHeader, fastifyJwtWith(false)],
  'hook by hand on fast-jwt': [500, inHeader, byHand],
  'hook by hand on fast-jwt, 20,000 tokens': [20_000, inHeader, byHand],
  'hook by hand on fast-jwt, 100,000 tokens': [100_000, inHeader, byHand]
}

const [count, place, setUp] = scenarios[process.argv[2]]
const app = Fastify()
const hooks = await setUp(app)
app.get('/', { preHandler: hooks }, async () => ({ hello: 'world' }))
await app.listen({ host: '127.0.0.1', port: 0 })
const { port } = app.server.address()
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send({ microseconds: user + system })
})
process.on('disconnect', () => process.exit())
process.send({ port, requests: makeTokens(count).map(token => `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${place(token)}\r\n\r\n`) })
