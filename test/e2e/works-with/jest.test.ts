import { join } from 'node:path'
import t from 'tap'
import { createProject, modules, run } from '../../helpers/packed-package.ts'

// Over a socket: Fastify's own `inject` requires an ES module, which Jest can't.
const body = `
  const app = Fastify()
  await app.register(jwt, { secretKey: 'a secret that is long enough for HS256', tokenLocation: ['headers', 'cookies'] })
  app.get('/', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))
  app.get('/login', async (_request, reply) => {
    const session = await app.jwt.createSession('user123')
    app.jwt.setSessionCookies(reply, session)
    return session
  })
  const url = await app.listen({ port: 0 })
  const login = await fetch(url + '/login')
  const { accessToken, sessionId } = await login.json()
  const [cookie = ''] = login.headers.getSetCookie()
  const answers = async () => Promise.all([{ authorization: 'Bearer ' + accessToken }, { cookie }, {}].map(async headers => (await fetch(url, { headers })).status))
  expect(await answers()).toEqual([200, 200, 401])
  expect(await app.jwt.revokeSession(sessionId)).toBe(true)
  expect(await answers()).toEqual([401, 401, 401])
  expect(() => app.jwt.decodeToken('no token')).toThrow(expect.objectContaining({ code: 'FST_JWT_INVALID_TOKEN' }))
  await app.close()
`

const sources = {
  'javascript.test.js': `const Fastify = require('fastify')
const jwt = require('fastify-jwt-extended')
const { jwtRequired } = require('fastify-jwt-extended')
test('a login in JavaScript', async () => {${body}})
for (const entry of ['redis', 'sqlite', 'postgres', 'store-contract']) test(entry, () => { require('fastify-jwt-extended/' + entry) })
`,
  'typescript.test.ts': `import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'
import { test, expect } from '@jest/globals'
test('a login in TypeScript', async () => {${body.replace('await login.json()', 'await login.json() as { accessToken: string, sessionId: string }')}})
`,
  'jest.config.js': "module.exports = { preset: 'ts-jest', testTimeout: 60000 }",
  'tsconfig.json': JSON.stringify({ compilerOptions: { target: 'es2023', module: 'node16', types: ['node'], strict: true, isolatedModules: true } })
}

for (const version of ['29', '30']) {
  t.test(`Jest ${version} loads the package without a setting, in JavaScript and by ts-jest`, async t => {
    const directory = await createProject(`jest-${version}`, sources, { packages: { 'ts-jest': 'ts-jest', '@jest/globals': '@jest/globals', typescript: 'typescript' } })
    const { stderr } = await run(process.execPath, [join(modules, `jest-${version}/bin/jest.js`), '--ci'], directory)
    t.match(stderr, /Tests: +6 passed, 6 total/)
  })
}
