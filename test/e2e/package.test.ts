import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { plainEnvironment } from '../helpers/example-process.ts'
import { createProject, files, root, run, typechecks } from '../helpers/packed-package.ts'

const app = `
  await app.register(jwt, { secretKey: 'a secret that is long enough for HS256', tokenLocation: ['headers', 'cookies'] })
  app.get('/', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))
  app.get('/login', async (request, reply) => {
    app.jwt.setAccessCookies(reply, app.jwt.createAccessToken('user123'))
    return {}
  })
  const [cookie] = (await app.inject('/login')).cookies
  const authorization = 'Bearer ' + app.jwt.createAccessToken('user123')
  console.log(JSON.stringify([
    (await app.inject({ url: '/', headers: { authorization } })).json(),
    (await app.inject({ url: '/', cookies: { [cookie.name]: cookie.value } })).json(),
    (await app.inject('/')).statusCode
  ]))
`
const answer = [{ user: 'user123' }, { user: 'user123' }, 401]

const typed = (head: string) => `${head}
import { RedisStore } from 'fastify-jwt-extended/redis'
import { SqliteStore } from 'fastify-jwt-extended/sqlite'
import { testStore } from 'fastify-jwt-extended/store-contract'
declare module 'fastify-jwt-extended' {
  interface JwtClaims { tenant: string }
  interface JwtUser { name: string }
}
const app = Fastify()
async function main (): Promise<void> {
  await app.register(jwt, { secretKey: 'a secret that is long enough for HS256', tokenLocation: ['headers', 'cookies'], accessExpires: '15m' })
  app.get('/', { preHandler: [jwtRequired, verifyJwt({ fresh: true })] }, async request => {
    const identity: string | null = request.jwtIdentity
    const claims: JwtClaims | null = request.jwtClaims
    return { identity, claims }
  })
  app.get('/instance', { onRequest: app.jwtOptional }, async (request, reply) => {
    await request.verifyJwt({ optional: 'strict' })
    const token: string = app.jwt.createAccessToken('user123', { expiresIn: '5m', fresh: true, claims: { tenant: 'one', role: 'admin' } })
    app.jwt.setAccessCookies(reply, token)
    return app.jwt.verifyToken(token)
  })
  const store = new SqliteStore(undefined as never)
  await app.register(jwt, { secretKey: 'x', store })
  app.get('/tenant', async request => {
    const tenant: string | undefined = request.jwtClaims?.tenant
    const name: string | undefined = request.jwtUser?.name
    // @ts-expect-error The app has said that it is a string.
    const wrong: number | undefined = request.jwtClaims?.tenant
    return { tenant, name, wrong }
  })
  testStore(() => {}, () => new RedisStore(undefined as never))
  // @ts-expect-error A misspelt claim, where the app has declared its own.
  app.jwt.createAccessToken('user123', { claims: { tennant: 'typo' } })
  // @ts-expect-error A claim of another type.
  await app.jwt.createSession('user123', { claims: { tenant: 7 } })
  // @ts-expect-error No key is 123.
  await app.register(jwt, { secretKey: 123 })
  // @ts-expect-error No key at all.
  await app.register(jwt, { accessExpires: '15m' })
  await app.register(jwt, { publicKey: { kty: 'OKP', crv: 'Ed25519', x: 'x' } })
  app.get('/certain', { preHandler: jwtRequired }, async request => {
    const { identity, claims, user } = authenticationOf<{ plan: 'paid' }, { id: number }>(request)
    const plan: 'paid' = claims.plan
    if (claims.type === 'refresh') {
      const never: undefined = claims.fresh
      return never
    }
    return [identity.length, plan, user.id]
  })
  const secure = Fastify({ http2: true, https: {} })
  await secure.register(jwt, { secretKey: 'x' })
  secure.get('/', { onRequest: jwtRequired, preHandler: [secure.jwtRequired, role('admin'), anyOf(role('a'), freshJwtRequired)] }, async request => request.jwtIdentity)
  secure.addHook('preValidation', verifyJwt({ optional: 'strict' }))
  const https = Fastify({ https: {} })
  https.get('/', { preHandler: jwtRequired }, async request => [authenticationOf(request).identity, jwtOf(https).createAccessToken('user123')])
  // @ts-expect-error No such option.
  await app.register(jwt, { secretKey: 'x', secret: 'y' })
  // @ts-expect-error No such location.
  await app.register(jwt, { secretKey: 'x', tokenLocation: 'cookie' })
  // @ts-expect-error It may be null.
  app.get('/null', async request => request.jwtIdentity.length)
  // @ts-expect-error No such type of token.
  verifyJwt({ type: 'session' })
  // @ts-expect-error A refresh token is never fresh.
  app.jwt.createRefreshToken('user123', { fresh: true })
}
void main
`
const names = 'anyOf, authenticationOf, freshJwtRequired, jwtOf, jwtRequired, role, verifyJwt, type JwtClaims'
// Without skipLibCheck: our declarations are checked, too.
const tsconfig = (include: string, options: Record<string, unknown> = {}) => JSON.stringify({
  compilerOptions: {
    module: 'nodenext', target: 'es2023', lib: ['es2023'], types: ['node'], strict: true, exactOptionalPropertyTypes: true, noEmit: true, ...options
  },
  include: [include]
})

t.test('the tarball holds what is built and what a reader needs, and nothing else', async t => {
  for (const path of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'docs/getting-started.md', 'dist/index.js', 'dist/index.d.ts']) {
    t.ok(files.includes(path), path)
  }
  const strangers = files.filter(path => !/^(package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|docs\/[\w-]+\.(md|svg)|examples\/[\w./-]+\.(ts|js|json|md|html|css|svg|ico)|dist\/[\w./-]+\.(js|d\.ts)|dist\/(browser\/)?package\.json)$/.test(path))
  t.strictSame(strangers, [])
})

t.test('every link of its pages leads to a file that is in it', async t => {
  const pages = files.filter(path => path.endsWith('.md') && path !== 'CHANGELOG.md')
  let links = 0
  for (const page of pages) {
    for (const [, target] of (await readFile(join(root, page), 'utf8')).replace(/^```[\s\S]*?^```$/gm, '').matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)) {
      links++
      const path = new URL(target as string, `file:///${page}`).pathname.slice(1)
      t.ok(files.some(file => file === path || file.startsWith(`${path.replace(/\/$/, '')}/`)), `${page}: ${target}`)
    }
  }
  t.ok(links > 200, `${links} links`)
})

t.test('it works in an empty ESM project', async t => {
  const directory = await createProject('esm', {
    'app.js': `import Fastify from 'fastify'\nimport jwt, { jwtRequired } from 'fastify-jwt-extended'\nconst app = Fastify()\n${app}`
  }, { type: 'module' })
  const { stdout, stderr } = await run(process.execPath, ['app.js'], directory)
  t.strictSame(JSON.parse(stdout), answer)
  t.equal(stderr, '')
})

t.test('it works in an empty CommonJS project', async t => {
  const program = (head: string) => `const Fastify = require('fastify')\n${head}\nconst app = Fastify()\nasync function main () {${app}}\nmain()`
  const directory = await createProject('cjs', {
    'default.js': program("const { default: jwt, jwtRequired } = require('fastify-jwt-extended')"),
    'whole.js': program("const jwt = require('fastify-jwt-extended')\nconst { jwtRequired } = jwt")
  }, { type: 'commonjs' })
  for (const file of ['default.js', 'whole.js']) {
    const { stdout, stderr } = await run(process.execPath, [file], directory)
    t.strictSame(JSON.parse(stdout), answer, file)
    t.equal(stderr, '')
  }
})

t.test('`require` and `import` load one copy, with every export by name', async t => {
  const directory = await createProject('one-copy', {
    'compare.mjs': `
      import { createRequire } from 'node:module'
      import * as imported from 'fastify-jwt-extended'
      const required = createRequire(import.meta.url)('fastify-jwt-extended')
      // The last is put there by fastify-plugin.
      const names = Object.keys(required).filter(name => name !== 'fastifyJwtExtended')
      console.log(JSON.stringify({
        names,
        missing: names.filter(name => imported[name] !== required[name]),
        defaults: [imported.default === required, required.default === required]
      }))`
  })
  const { names: found = [], missing, defaults } = JSON.parse((await run(process.execPath, ['compare.mjs'], directory)).stdout) as Record<string, unknown[]>
  const index = await import('../../lib/index.ts')
  t.strictSame(Object.keys(index).filter(name => !found.includes(name)), [], 'all that lib/index.ts exports')
  t.strictSame(missing, [])
  t.strictSame(defaults, [true, true])
})

t.test('every entry can be imported, and required where no ES module can be', async t => {
  const entries = { '': 'jwtRequired', '/redis': 'RedisStore', '/sqlite': 'SqliteStore', '/postgres': 'PostgresStore', '/store-contract': 'testStore' }
  const all = Object.entries(entries)
  const directory = await createProject('entries', {
    'all.cjs': all.map(([entry, name]) => `console.log(typeof require('fastify-jwt-extended${entry}').${name})`).join('\n'),
    'all.mjs': all.map(([entry, name]) => `import { ${name} } from 'fastify-jwt-extended${entry}'\nconsole.log(typeof ${name})`).join('\n')
  })
  const expected = 'function\n'.repeat(all.length)
  t.equal((await run(process.execPath, ['--no-experimental-require-module', 'all.cjs'], directory)).stdout, expected)
  t.equal((await run(process.execPath, ['all.mjs'], directory)).stdout, expected)
})

// Each with another version of @types/node: a project may have any from the oldest Node that is supported.
const modes: Array<{ name: string, type: 'module' | 'commonjs', head?: string, options: Record<string, unknown>, nodeTypes?: string, compiler?: 6 }> = [
  { name: 'ES modules of Node', type: 'module', nodeTypes: 'types-node-26', options: { module: 'nodenext' } },
  { name: 'CommonJS of Node', type: 'commonjs', nodeTypes: 'types-node-20', options: { module: 'node16', exactOptionalPropertyTypes: false } },
  { name: 'CommonJS with import and require', type: 'commonjs', head: "import Fastify = require('fastify')\nimport jwt = require('fastify-jwt-extended')\nimport { anyOf, authenticationOf, freshJwtRequired, jwtOf, jwtRequired, role, verifyJwt, type JwtClaims } from 'fastify-jwt-extended'", options: { module: 'nodenext' } },
  { name: 'CommonJS with esModuleInterop, resolved as TypeScript once did', type: 'commonjs', compiler: 6, options: { module: 'commonjs', moduleResolution: 'node10', esModuleInterop: true, ignoreDeprecations: '6.0' } },
  { name: 'a bundler', type: 'module', nodeTypes: 'types-node-25', options: { module: 'esnext', moduleResolution: 'bundler' } }
]
for (const { name, type, head, options, nodeTypes, compiler } of modes) {
  t.test(`it has types for ${name}, claims of the app's own included`, async t => {
    const directory = await createProject(`types-${name.replace(/\W/g, '-')}`, {
      'app.ts': typed(head ?? `import Fastify from 'fastify'\nimport jwt, { ${names} } from 'fastify-jwt-extended'`),
      'tsconfig.json': tsconfig('*.ts', options)
    }, { type, packages: nodeTypes === undefined ? {} : { '@types/node': nodeTypes } })
    t.equal(await typechecks(directory, compiler), '')
  })
}

t.test('with @fastify/jwt in one program, jwtOf has the type that app.jwt has lost', async t => {
  const directory = await createProject('beside', {
    'app.ts': `import Fastify from 'fastify'
import fastifyJwt from '@fastify/jwt'
import jwt, { jwtOf, jwtRequired } from 'fastify-jwt-extended'
const app = Fastify()
app.register(async old => { await old.register(fastifyJwt, { secret: 'x' }) })
app.register(async next => {
  await next.register(jwt, { secretKey: 'x' })
  next.get('/', { preHandler: jwtRequired }, async () => jwtOf(next).createAccessToken('user123'))
})`,
    'tsconfig.json': tsconfig('*.ts', { skipLibCheck: true })
  }, { type: 'module', packages: { '@fastify/jwt': '@fastify/jwt' } })
  t.equal(await typechecks(directory), '')
})

t.test('the example of the README, pasted into an empty folder, works in JavaScript, and with the type of a body in TypeScript at its strictest', async t => {
  const [, example = ''] = /^```js\n([\s\S]*?)^```$/m.exec(await readFile(join(root, 'README.md'), 'utf8')) ?? []
  t.match(example, 'await app.listen({ port: 3000 })')
  const directory = await createProject('readme', {
    // All as it stands there, but for a port that is certainly free, and a line that tells which.
    'app.mjs': `${example.replace('port: 3000', 'port: 0').replace('logger: true', '')}\nconsole.log(app.server.address().port)`,
    'app.mts': example.replace("app.post('/login'", "app.post<{ Body: { name: string, password: string } }>('/login'"),
    'tsconfig.json': tsconfig('*.mts')
  })
  t.equal(await typechecks(directory), '')

  const env = plainEnvironment({ JWT_SECRET_KEY: randomBytes(48).toString('base64'), ADAS_PASSWORD: 'correct horse' })
  const server = spawn(process.execPath, ['app.mjs'], { cwd: directory, env, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { server.kill() })
  const [port] = await once(server.stdout.setEncoding('utf8'), 'data') as [string]
  const url = `http://localhost:${port.trim()}`
  const login = await fetch(`${url}/login`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name: 'ada', password: 'correct horse' })
  })
  const cookie = login.headers.getSetCookie().map(line => line.slice(0, line.indexOf(';'))).join('; ')
  t.strictSame(await (await fetch(`${url}/me`, { headers: { cookie } })).json(), { name: 'ada' })
  t.equal((await fetch(`${url}/password`, { method: 'POST', headers: { cookie, 'sec-fetch-site': 'cross-site' } })).status, 403)
})

t.test('the client for browsers has its types where there is no Node, and no type of the server comes with it', async t => {
  const directory = await createProject('browser', {
    'page.ts': `import { createFetch, type CreateFetchOptions } from 'fastify-jwt-extended/browser'
const options: CreateFetchOptions = { refresh: '/session/refresh', csrf: { accessCsrfCookieName: 'csrf' }, onSignedOut () { location.assign('/') } }
const api: typeof fetch = createFetch(options)
export const status: Promise<number> = api(new URL('/me', location.href), { method: 'POST' }).then(response => response.status)
// @ts-expect-error It needs to know where to refresh.
createFetch({})
// @ts-expect-error No such option.
createFetch({ refresh: '/session/refresh', retries: 3 })
`,
    'tsconfig.json': JSON.stringify({
      compilerOptions: { module: 'esnext', moduleResolution: 'bundler', target: 'es2022', lib: ['es2022', 'dom'], types: [], strict: true, exactOptionalPropertyTypes: true, noEmit: true },
      include: ['*.ts']
    })
  }, { type: 'module' })
  t.equal(await typechecks(directory), '')
})

t.test('the plugin has the name that other plugins may depend on', async t => {
  const directory = await createProject('named', {
    'app.js': `import Fastify from 'fastify'
import jwt from 'fastify-jwt-extended'
const app = Fastify()
await app.register(jwt, { secretKey: 'a secret that is long enough for HS256' })
console.log(app.hasPlugin('fastify-jwt-extended'))`
  }, { type: 'module' })
  t.equal((await run(process.execPath, ['app.js'], directory)).stdout, 'true\n')
})
