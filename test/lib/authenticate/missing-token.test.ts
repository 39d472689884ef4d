import Fastify from 'fastify'
import type { FastifyInstance, InjectOptions } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtRequired, refreshTokenRequired } from '../../../lib/index.ts'
import { secretKey } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'

/** An app, and the lines of its log that are about a missing token. */
async function loggingApp (t: Test, options: Partial<Options>, level = 'debug'): Promise<{ app: FastifyInstance, lines: string[] }> {
  const lines: string[] = []
  const app = Fastify({ logger: { level, stream: { write (line: string) { if (/No JWT|rotateSession/.test(line)) lines.push((JSON.parse(line) as { msg: string }).msg) } } } }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, ...options })
  app.post('/', { preHandler: jwtRequired }, async () => ({}))
  app.post('/refresh', { preHandler: refreshTokenRequired }, async request => app.jwt.rotateSession(request))
  return { app, lines }
}

for (const { name, options = {}, request, line } of [
  { name: 'no header', request: {}, line: 'no header authorization' },
  { name: 'a token without its scheme', request: { headers: { authorization: 'eyJhbGciOiJIUzI1NiJ9.e30.c2VjcmV0' } }, line: "header authorization has no scheme, and takes 'Bearer <token>'" },
  { name: 'another scheme', request: { headers: { authorization: 'Basic c2VjcmV0' } }, line: "header authorization has the scheme 'Basic', and takes 'Bearer <token>'" },
  { name: 'an empty header', request: { headers: { authorization: '' } }, line: 'header authorization is empty' },
  { name: 'an empty header of a bare token', options: { headerName: 'X-Token', headerType: '' }, request: { headers: { 'x-token': ' ' } }, line: 'header x-token is empty' },
  { name: 'a cookie where cookies are no location', request: { headers: { cookie: 'a=b; access_token_cookie=c2VjcmV0' } }, line: "no header authorization; cookie access_token_cookie came, but tokenLocation lacks 'cookies'" },
  { name: 'every location', options: { tokenLocation: ['cookies', 'queryString', 'json'], extractToken: () => undefined }, request: {}, line: 'extractToken returned none; no cookies (access_token_cookie is looked for); no query parameter jwt; no JSON body' },
  { name: 'other cookies and fields', options: { tokenLocation: ['cookies', 'json'] }, request: { headers: { cookie: 'a=c2VjcmV0' }, payload: { token: 'c2VjcmV0' } }, line: 'no cookie access_token_cookie among the cookies; no field access_token in the body' }
] as Array<{ name: string, options?: Partial<Options>, request: InjectOptions, line: string }>) {
  t.test(`of a request with ${name}, the log says at debug where a token was looked for, and never what stood there`, async t => {
    const { app, lines } = await loggingApp(t, options)
    const response = await app.inject({ method: 'POST', url: '/', ...request })
    t.equal((response.json() as { message: string }).message, 'Missing JWT token')
    t.strictSame(lines, [`No JWT was found: ${line}`])
    t.notMatch(lines.join(), 'c2VjcmV0')
  })
}

t.test('nothing of it is written at info', async t => {
  const { app, lines } = await loggingApp(t, {}, 'info')
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 401)
  t.strictSame(lines, [])
})

t.test('a refresh token of createRefreshToken that is to be rotated is a warning that names the remedy', async t => {
  const { app, lines } = await loggingApp(t, {})
  const response = await app.inject({ method: 'POST', url: '/refresh', headers: { authorization: `Bearer ${app.jwt.createRefreshToken('user123')}` } })
  t.match(response.json(), { code: 'FST_JWT_INVALID_TOKEN' })
  t.match(lines, [/one that can be rotated comes from createSession$/])
})
