import Fastify from 'fastify'
import rateLimit from '@fastify/rate-limit'
import t from 'tap'
import jwt, { jwtRequired } from '../../../lib/index.ts'

t.test('@fastify/rate-limit counts by identity behind a hook', async t => {
  const app = Fastify()
  await app.register(rateLimit, { global: false })
  await app.register(jwt, { secretKey: 'a secret of at least thirty-two bytes' })
  app.get('/', {
    preValidation: jwtRequired,
    config: { rateLimit: { max: 2, timeWindow: '1 minute', hook: 'preHandler', keyGenerator: request => request.jwtIdentity ?? request.ip } }
  }, async () => 'in')
  const ask = async (user?: string) => {
    const headers = user === undefined ? {} : { authorization: `Bearer ${app.jwt.createAccessToken(user)}` }
    return (await app.inject({ url: '/', headers })).statusCode
  }
  t.same([await ask('ada'), await ask('ada'), await ask('ada')], [200, 200, 429], 'another token of the same user counts, too')
  t.same([await ask('bob'), await ask('bob')], [200, 200], 'and another user is counted apart')
  t.equal(await ask(), 401, 'a refused request is not counted')
})

t.test('under protect, a limit of the whole app counts by identity, too', async t => {
  const app = Fastify()
  await app.register(jwt, { secretKey: 'a secret of at least thirty-two bytes', protect: true })
  await app.register(rateLimit, { max: 1, timeWindow: '1 minute', keyGenerator: request => request.jwtIdentity ?? request.ip })
  app.get('/', async () => 'in')
  const ask = async (user: string) => (await app.inject({ url: '/', headers: { authorization: `Bearer ${app.jwt.createAccessToken(user)}` } })).statusCode
  t.same([await ask('ada'), await ask('bob'), await ask('ada')], [200, 200, 429])
})
