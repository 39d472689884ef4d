// examples/nestjs/, compiled as its tsconfig.json says, in a project that has the packed package and NestJS.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { plainEnvironment } from '../../helpers/example-process.ts'
import { createProject, typechecks } from '../../helpers/packed-package.ts'

const example = new URL('../../../examples/nestjs/', import.meta.url)
const sources = Object.fromEntries(readdirSync(example).filter(file => /\.(ts|json)$/.test(file)).map(file => [file, readFileSync(new URL(file, example), 'utf8')]))

// The same app a second time, with a filter that catches everything, tokens in headers, and mistakes.
const filtered = `import './main.js'
import { Catch, Controller, Get, HttpException, Module } from '@nestjs/common'
import { HttpAdapterHost, NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'
import { AppModule } from './app.module.js'
import { Auth, Public } from './jwt.js'
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common'
import type { FastifyInstance } from 'fastify'
import type { NestFastifyApplication } from '@nestjs/platform-fastify'

@Catch()
class CatchEverythingFilter implements ExceptionFilter {
  constructor (private readonly adapterHost: HttpAdapterHost) {}
  catch (exception: unknown, host: ArgumentsHost): void {
    const status = exception instanceof HttpException ? exception.getStatus() : 500
    const response = exception instanceof HttpException ? exception.getResponse() : {}
    this.adapterHost.httpAdapter.reply(host.switchToHttp().getResponse(), { filtered: true, response }, status)
  }
}

@Controller()
class MistakesController {
  @Get('nobody')
  @Public()
  nobody (@Auth('identity') name: string) { return { name } }
}

@Module({ imports: [AppModule], controllers: [MistakesController] })
class FilteredModule {}

const app = await NestFactory.create<NestFastifyApplication>(FilteredModule, new FastifyAdapter(), { logger: false })
app.useGlobalFilters(new CatchEverythingFilter(app.get(HttpAdapterHost)))
await app.register(jwt, {
  secretKey: 'a secret that is long enough for HS256',
  realm: 'filtered',
  store: false,
  isRevoked: ({ identity }) => identity === 'eve' ? 'no' as never : false
})
await app.register(async (context: FastifyInstance) => {
  context.addHook('onRequest', jwtRequired)
  context.get('/of-a-plugin', async () => ({ reached: true }))
})
await app.listen(0, '127.0.0.1')
const create = (identity: string) => app.get(HttpAdapterHost).httpAdapter.getInstance<FastifyInstance>().jwt.createAccessToken(identity)
console.log(JSON.stringify({ url: await app.getUrl(), tokens: { bob: create('bob'), eve: create('eve') } }))
`

const packages = Object.fromEntries(['@nestjs/common', '@nestjs/core', '@nestjs/platform-fastify', 'reflect-metadata', 'rxjs'].map(name => [name, name]))

interface Answer { status: number, body: any, challenge: string | null, cookies: string }

async function call (url: string, { method = 'GET', cookies = '', body, headers = {} }: { method?: string, cookies?: string, body?: unknown, headers?: Record<string, string> } = {}): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { cookie: cookies, ...body === undefined ? {} : { 'content-type': 'application/json' }, ...headers },
    ...body === undefined ? {} : { body: JSON.stringify(body) }
  })
  return {
    status: response.status,
    body: await response.json(),
    challenge: response.headers.get('www-authenticate'),
    cookies: response.headers.getSetCookie().map(line => line.slice(0, line.indexOf(';'))).join('; ')
  }
}

t.test('NestJS: the example compiles, and keeps codes, statuses and challenges over a socket', async t => {
  const directory = await createProject('nestjs', { ...sources, 'filtered.ts': filtered }, { type: 'module', packages })
  t.equal(await typechecks(directory), '')
  const server = spawn(process.execPath, ['dist/filtered.js'], {
    cwd: directory, env: plainEnvironment({ PORT: '0', JWT_SECRET_KEY: 'a secret that is long enough for HS256' }), stdio: ['ignore', 'pipe', 'pipe']
  })
  const exited = once(server, 'exit')
  t.teardown(async () => {
    server.kill()
    await exited
  })
  let log = ''
  server.stderr.on('data', chunk => { log += String(chunk) })
  let output = ''
  const [, url = '', rest = ''] = await new Promise<string[]>((resolve, reject) => {
    server.stdout.on('data', chunk => {
      output += String(chunk)
      const found = /Listening on (\S+)\n(\{.*\})\n/.exec(output)
      if (found !== null) resolve(found)
    })
    server.on('exit', code => { reject(new Error(`ended with ${code}:\n${output}${log}`)) })
  })
  const other = JSON.parse(rest) as { url: string, tokens: { bob: string, eve: string } }

  const login = (name: string, password: string, headers = {}) => call(`${url}/login`, { method: 'POST', body: { name, password }, headers })
  const refused = (code: string, message: string, status = 401, error = 'Unauthorized') => ({ status, body: { statusCode: status, code, error, message } })

  await t.test('an open route, and one that nobody has opened', async t => {
    t.match(await call(`${url}/health`), { status: 200, body: { up: true } })
    t.match(await call(`${url}/greeting`), { status: 200, body: { hello: 'stranger' } })
    t.strictSame(await call(`${url}/me`), { ...refused('FST_JWT_MISSING_TOKEN', 'Missing JWT token'), challenge: 'Bearer', cookies: '' })
    t.match(await call(`${url}/nowhere`), { status: 404 })
  })

  await t.test('login: a wrong password, a body that is none, another site', async t => {
    t.match(await login('ada', 'wrong'), { status: 401, body: { message: 'Wrong name or password' }, challenge: null })
    t.match(await call(`${url}/login`, { method: 'POST', body: { name: 'ada' } }), { status: 400, challenge: null })
    t.match(await call(`${url}/login`, { method: 'POST' }), { status: 400 })
    t.match(await login('ada', 'correct horse battery staple', { 'sec-fetch-site': 'cross-site' }), { status: 403, body: { code: 'FST_JWT_CSRF', error: 'Forbidden' }, cookies: '' })
  })

  await t.test('identity and claims by the decorator, a role on a whole controller, refresh, a stolen refresh token, logout', async t => {
    const { cookies: ada, status } = await login('ada', 'correct horse battery staple')
    t.equal(status, 200)
    t.match(await call(`${url}/me`, { cookies: ada }), { status: 200, body: { name: 'ada' } })
    t.match(await call(`${url}/session`, { cookies: ada }), { body: { name: 'ada', roles: ['admin'], expires: Number } })
    t.match(await call(`${url}/greeting`, { cookies: ada }), { body: { hello: 'ada' } })
    t.match(await call(`${url}/users`, { cookies: ada }), { status: 200, body: { users: ['ada', 'bob'] } })
    t.match(await call(`${url}/me`, { cookies: ada.replace(/\.[\w-]+;/, '.AAAA;') }), { ...refused('FST_JWT_INVALID_SIGNATURE', 'Invalid token signature'), challenge: /^Bearer error="invalid_token", error_description=/ })

    const { cookies: bob } = await login('bob', 'a long walk on the beach')
    t.match(await call(`${url}/users`, { cookies: bob }), { ...refused('FST_JWT_FORBIDDEN', 'Missing role: admin', 403, 'Forbidden'), challenge: /^Bearer error="insufficient_scope"/ })
    t.match(await call(`${url}/users/open`), { ...refused('FST_JWT_MISSING_TOKEN', 'Missing JWT token'), challenge: 'Bearer' }, 'what its controller requires')
    t.match(await call(`${url}/password`, { method: 'POST', cookies: bob }), { status: 200, body: { changed: true } })
    const next = await call(`${url}/refresh`, { method: 'POST', cookies: bob })
    t.match(next, { status: 200, body: { refreshed: true } })
    t.match(await call(`${url}/password`, { method: 'POST', cookies: next.cookies }), { ...refused('FST_JWT_FRESH_REQUIRED', 'Fresh token required'), challenge: /invalid_token/ })
    t.match(await call(`${url}/me`, { cookies: next.cookies }), { body: { name: 'bob' } })
    t.match(await call(`${url}/refresh`, { method: 'POST', cookies: next.cookies }), { status: 200 })
    t.match(await call(`${url}/refresh`, { method: 'POST', cookies: bob }), { status: 401, body: { code: 'FST_JWT_REUSED' }, challenge: /invalid_token/ })
    t.match(await call(`${url}/me`, { cookies: next.cookies }), { status: 401, body: { code: 'FST_JWT_REVOKED' } }, 'the thief has ended the session')

    t.match(await call(`${url}/logout`, { method: 'POST', cookies: ada, headers: { 'sec-fetch-site': 'cross-site' } }), { status: 403, body: { code: 'FST_JWT_CSRF' } })
    t.match(await call(`${url}/logout`, { method: 'POST', cookies: ada }), { status: 200, body: { loggedOut: true } })
    t.match(await call(`${url}/me`, { cookies: ada }), { status: 401, body: { code: 'FST_JWT_REVOKED' } })
    t.match(await call(`${url}/logout`, { method: 'POST', cookies: ada }), { status: 200, body: { loggedOut: false } })
  })

  await t.test('a filter of the app that catches everything sees the exception that it knows', async t => {
    const missing = { status: 401, body: { filtered: true, response: refused('FST_JWT_MISSING_TOKEN', 'Missing JWT token').body }, challenge: 'Bearer realm="filtered"', cookies: '' }
    t.strictSame(await call(`${other.url}/me`), missing)
    t.strictSame(await call(`${other.url}/nobody`), missing, 'an open route that takes an identity for granted')
    t.match(await call(`${other.url}/of-a-plugin`), { ...refused('FST_JWT_MISSING_TOKEN', 'Missing JWT token'), challenge: 'Bearer realm="filtered"' })
    const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
    t.match(await call(`${other.url}/me`, bearer(other.tokens.bob)), { status: 200, body: { name: 'bob' } })
    t.match(await call(`${other.url}/of-a-plugin`, bearer(other.tokens.bob)), { status: 200, body: { reached: true } })
    t.strictSame(await call(`${other.url}/me`, bearer(other.tokens.eve)), { status: 500, body: { filtered: true, response: {} }, challenge: null, cookies: '' })
  })

  t.equal(log, '', 'a refusal is no error of the app')
})
