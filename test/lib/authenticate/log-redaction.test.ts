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
  app.get('/query', { preHandler: verifyJwt({ locations: 'queryString' }) }, async () => 'ok')
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
    ['/a?jwt[]=x&jwt[0]=y&jwt%5B1%5D=z', '/a?jwt[]=redacted&jwt[0]=redacted&jwt%5B1%5D=redacted'],
    ['/a;jwt=x', '/a;jwt=redacted'],
    ['/a?jwt=', '/a?jwt=redacted'],
    ['/a?jwt', '/a?jwt'],
    ['/a?xjwt=x&jwtx=y&JWT=z', '/a?xjwt=x&jwtx=y&JWT=z'],
    ['/a?%zz=x&jwt=y', '/a?%zz=x&jwt=redacted'],
    ['/jwt=x', '/jwt=x']
  ]
  for (const [url, redacted] of table) t.equal(redactUrl(url, 'jwt'), redacted, url)
  t.equal(redactUrl('/a?the+token=x', 'the token'), '/a?the+token=redacted', 'a name with a space')
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

t.test('a hook that looks into the query on its own is covered, too', async t => {
  const { app, log } = await loggingApp(t, {})
  const token = app.jwt.createAccessToken('user123')
  t.equal((await app.inject({ url: '/query', query: { jwt: token } })).body, 'ok')
  t.notOk(log().includes(token))
})

t.test('registrations with names of their own hide both, each once', async t => {
  const { app, log } = await loggingApp(t, { tokenLocation: 'queryString' })
  for (const name of ['admin_token', 'jwt']) {
    await app.register(async scope => {
      await scope.register(jwt, { secretKey, tokenLocation: 'queryString', queryStringName: name })
      scope.get(`/${name}`, { preHandler: jwtRequired }, async () => 'ok')
    })
  }
  const token = app.jwt.createAccessToken('user123')
  t.equal((await app.inject({ url: '/admin_token', query: { admin_token: token } })).body, 'ok')
  t.equal((await app.inject({ url: '/jwt', query: { jwt: token } })).body, 'ok')
  t.notOk(log().includes(token))
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

t.test('other loggers are left alone', async t => {
  for (const logger of [false, true]) {
    const app = Fastify({ logger: logger && { level: 'silent', serializers: {} } })
    t.teardown(() => app.close())
    await app.register(jwt, { secretKey, tokenLocation: 'queryString' })
    t.equal((await app.inject('/nowhere?jwt=x')).statusCode, 404)
  }
  const lines: unknown[] = []
  const log = (...line: unknown[]) => { lines.push(line) }
  const own = { level: 'info', info: log, error: log, debug: log, fatal: log, warn: log, trace: log, silent: log, child: () => own }
  const app = Fastify({ loggerInstance: own })
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: 'queryString' })
  t.equal((await app.inject('/nowhere?jwt=x')).statusCode, 404)
  t.ok(lines.length > 0)
})
