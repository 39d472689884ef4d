import { Writable } from 'node:stream'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtRequired, verifyJwt } from '../../../lib/index.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'
import { redactUrl } from '../../../lib/authenticate/log-redaction.ts'
import { secretKey } from '../../helpers/protected-app.ts'

type Logger = Exclude<FastifyServerOptions['logger'], boolean | undefined>

async function loggingApp (t: Test, options: Partial<JwtExtendedOptions>, logger: Logger = {}, server: FastifyServerOptions = {}) {
  const lines: string[] = []
  const stream = new Writable({ write (chunk, _encoding, done) { lines.push(String(chunk)); done() } })
  const app = Fastify({ ...server, logger: { level: 'trace', stream, ...logger } }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, ...options })
  app.get('/required', { preHandler: jwtRequired }, async request => { request.log.info({ req: request }, 'mine'); return 'ok' })
  if (options.tokenLocation?.includes('queryString') === true) app.get('/query', { preHandler: verifyJwt({ locations: 'queryString' }) }, async () => 'ok')
  app.get('/fault', async () => { throw new Error('a fault') })
  return { app, log: () => lines.join('') }
}

t.test('a query parameter that holds a token is hidden, however it is written', async t => {
  const table: Array<[url: string, redacted: string]> = [
    ['/a', '/a'],
    ['/a?b=c', '/a?b=c'],
    ['/a?jwt=x.y.z', '/a?jwt=redacted'],
    ['/a?b=c&jwt=x.y.z&d=e', '/a?b=c&jwt=redacted&d=e'],
    ['/a?jwt=x&jwt=y', '/a?jwt=redacted&jwt=redacted'],
    ['/a?j%77t=x', '/a?j%77t=redacted'],
    ['/a?jwt=x=y?z', '/a?jwt=redacted'],
    ['/a?jwt=pre;x.y.z&b=c', '/a?jwt=redacted&b=c'],
    ['/a?jwt[]=x&jwt[0]=y&jwt%5B1%5D=z', '/a?jwt[]=redacted&jwt[0]=redacted&jwt%5B1%5D=redacted'],
    ['/a;jwt=x', '/a;jwt=redacted'],
    ['/a?b=c;jwt=x;d=e', '/a?b=c;jwt=redacted'],
    ['/a?jwt=', '/a?jwt=redacted'],
    ['/a?jwt', '/a?jwt'],
    ['/a?xjwt=x&jwtx=y&JWT=z', '/a?xjwt=x&jwtx=y&JWT=z'],
    ['/a?%zz=x&jwt=y', '/a?%zz=x&jwt=redacted'],
    ['/jwt=x', '/jwt=x']
  ]
  for (const [url, redacted] of table) t.equal(redactUrl(url, 'jwt'), redacted, url)
  t.equal(redactUrl('/a?the+token=x', 'the token'), '/a?the+token=redacted', 'a name with a space')
  t.equal(redactUrl('/a?auth[token]=x&auth%5Btoken%5D=y', 'auth[token]'), '/a?auth[token]=redacted&auth%5Btoken%5D=redacted', 'a name with brackets')
})

t.test('a token in the query is in no line of the log and in no answer', async t => {
  const { app, log } = await loggingApp(t, { tokenLocation: ['queryString', 'headers'] })
  const token = app.jwt.createAccessToken('user123')
  for (const url of ['/required', '/nowhere', '/query', '/fault']) {
    const answer = await app.inject({ url, query: { jwt: token, other: 'shown' } })
    t.notOk(answer.body.includes(token), url)
  }
  t.notOk(log().includes(token))
  t.match(log(), /"url":"\/required\?jwt=redacted&other=shown"/, 'the rest of the URL is there')
  t.match(log(), /Route GET:\/nowhere\?jwt=redacted&other=shown not found/)
  t.equal((await app.inject({ url: '/required', query: { jwt: token } })).body, 'ok', 'and the token is read all the same')
})

t.test('no line at any level, and no answer, holds the token, whatever becomes of the request', async t => {
  const lines: string[] = []
  const stream = new Writable({ write (chunk, _encoding, done) { lines.push(String(chunk)); done() } })
  const app = Fastify({ logger: { level: 'trace', stream } }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  app.get('/declared-before', async () => { throw new Error('a fault') })
  app.get('/not-found-before', (_request, reply) => { reply.callNotFound() })
  await app.register(jwt, { secretKey, tokenLocation: ['queryString', 'headers'], queryStringValuePrefix: 'pre;fix ' })
  app.get('/not-found', { preHandler: jwtRequired }, (_request, reply) => { reply.callNotFound() })
  app.get('/fault', async request => { throw new Error(`cannot serve ${request.url}`) })
  app.get('/mine', async request => {
    request.log.warn({ req: request }, `asked for ${request.url}`)
    request.log.child({ part: 1 }).error('%s again', request.raw.url)
    return 'ok'
  })
  app.setErrorHandler((_error, request, reply) => { request.log.error({ req: request }, request.url); return reply.code(500).send('failed') })
  await app.register(async scope => { scope.get('/nested', async () => ({})) }, { prefix: '/scope' })
  const token = app.jwt.createAccessToken('user123')
  const [, , signature = ''] = token.split('.')
  for (const path of ['/not-found', '/not-found-before', '/declared-before', '/fault', '/mine', '/nowhere', '/scope/nowhere', '/scope/nested', '/%zz', '/a%00b', `/${'x'.repeat(200)}`]) {
    for (const query of [`jwt=pre;fix ${token}`, `jwt=pre%3Bfix%20${token}`, `a=b&j%77t=pre;fix+${token}&c=d`, `jwt[]=${token}`, `jwt=${token}&jwt=${token}`]) {
      const { body, headers } = await app.inject(`${path}?${query}`)
      // Fastify answers a URL that cannot be decoded before any hook runs, with that URL. It logs nothing.
      if (path !== '/%zz') t.notOk((body + JSON.stringify(headers)).includes(signature), `${path}: the answer`)
      t.notOk(lines.splice(0).join('').includes(signature), `${path}?${query.replaceAll(token, '<token>')}: the log`)
    }
  }
})

t.test('a hook that looks into the query on its own is covered from its declaration on', async t => {
  const { app, log } = await loggingApp(t, {})
  app.get('/download', { preHandler: verifyJwt({ locations: 'queryString' }) }, async () => 'ok')
  const token = app.jwt.createAccessToken('user123')
  t.equal((await app.inject({ url: '/download', query: { jwt: token } })).body, 'ok')
  t.equal((await app.inject({ url: '/downlaod', query: { jwt: token } })).statusCode, 404)
  t.notOk(log().includes(token))
})

t.test('in a nested context the query is a location only if the root hides the same parameter', async t => {
  const nested = async (root: Partial<JwtExtendedOptions> | null, name: string): Promise<{ app: FastifyInstance, log: () => string }> => {
    const { app, log } = root === null ? { app: Fastify() as unknown as FastifyInstance, log: () => '' } : await loggingApp(t, root)
    t.teardown(() => app.close())
    await app.register(async outer => {
      await outer.register(async scope => {
        await scope.register(jwt, { secretKey, tokenLocation: 'queryString', queryStringName: name })
        scope.get('/inner', { preHandler: jwtRequired }, async () => 'ok')
      })
    })
    return { app, log }
  }
  const refusal = { code: 'FST_JWT_BAD_OPTION', message: /tokenLocation.*root/ }
  await t.rejects(nested(null, 'jwt'), refusal)
  await t.rejects(nested({}, 'jwt'), refusal)
  await t.rejects(nested({ tokenLocation: 'queryString' }, 'other'), refusal)
  const { app, log } = await nested({ tokenLocation: 'queryString' }, 'jwt')
  const token = app.jwt.createAccessToken('user123')
  t.equal((await app.inject({ url: '/inner', query: { jwt: token } })).body, 'ok')
  await app.inject({ url: '/inne', query: { jwt: token } })
  t.notOk(log().includes(token))
})

t.test('without the location nothing changes in how anybody logs', async t => {
  const { app, log } = await loggingApp(t, { tokenLocation: ['headers', 'cookies', 'json'] })
  await app.register(async scope => { await scope.register(jwt, { secretKey, queryStringName: 'token' }) })
  await app.inject('/fault?jwt=shown&token=shown')
  await app.inject('/nowhere?jwt=shown&token=shown')
  t.match(log(), /"url":"\/fault\?jwt=shown&token=shown"/)
  t.match(log(), /Route GET:\/nowhere\?jwt=shown&token=shown not found/)
})

t.test('a serializer of the app keeps its form', async t => {
  const own = await loggingApp(t, { tokenLocation: 'queryString' }, { serializers: { req: request => ({ url: request.url, mine: true }) } })
  const token = own.app.jwt.createAccessToken('user123')
  await own.app.inject({ url: '/required', query: { jwt: token } })
  t.match(own.log(), '"req":{"url":"/required?jwt=redacted","mine":true}')
  for (const shown of [null, 'a text', { method: 'GET' }, { url: 1 }]) {
    const { app, log } = await loggingApp(t, { tokenLocation: 'queryString' }, { serializers: { req: () => shown as never } })
    await app.inject({ url: '/required', query: { jwt: token } })
    t.match(log(), `"req":${JSON.stringify(shown)}`)
  }
})

t.test('without a logger there is nothing to hide, and one whose lines cannot be changed stops start-up', async t => {
  const silent = Fastify()
  t.teardown(() => silent.close())
  await silent.register(jwt, { secretKey, tokenLocation: 'queryString' })
  t.match((await silent.inject('/nowhere?jwt=x')).json(), { message: 'Route GET:/nowhere?jwt=redacted not found' })
  const log = (): void => {}
  const own = { level: 'info', info: log, error: log, debug: log, fatal: log, warn: log, trace: log, silent: log, child: () => own }
  const app = Fastify({ loggerInstance: own })
  t.teardown(() => app.close())
  await t.rejects(async () => { await app.register(jwt, { secretKey, tokenLocation: 'queryString' }) }, { code: 'FST_JWT_BAD_OPTION', message: /serializer/ })
})
