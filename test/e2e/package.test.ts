import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { plainEnvironment } from '../helpers/example-process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const modules = await realpath(join(root, 'node_modules'))
const run = (file: string, args: string[], cwd: string) => promisify(execFile)(file, args, {
  cwd, env: plainEnvironment({ npm_config_offline: 'true', npm_config_update_notifier: 'false' })
})

const temporary = await realpath(await mkdtemp(join(tmpdir(), 'fastify-jwt-extended-')))
t.teardown(() => rm(temporary, { recursive: true, force: true }))

interface Manifest { name: string, version: string, dependencies: Record<string, string> }
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest

/** Packs what was last built into dist/: building here would change it under the other tests. */
async function pack (): Promise<{ tarball: string, files: string[] }> {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--loglevel=error', '--pack-destination', temporary], root)
  const [packed] = JSON.parse(stdout) as Array<{ filename: string, files: Array<{ path: string }> }>
  return { tarball: join(temporary, packed?.filename ?? ''), files: (packed?.files ?? []).map(({ path }) => path) }
}

const { tarball, files } = await pack()

/**
 * An empty project with the tarball installed, and its dependencies linked from ours: no network.
 *
 * @param type What package.json says of its modules; `null` for nothing.
 */
async function project (name: string, type: 'module' | 'commonjs' | null, sources: Record<string, string>): Promise<string> {
  const directory = join(temporary, name)
  const installed = join(directory, 'node_modules', manifest.name)
  await mkdir(installed, { recursive: true })
  await run('tar', ['-xzf', tarball, '--strip-components=1', '-C', installed], directory)
  for (const dependency of [...Object.keys(manifest.dependencies), 'fastify', '@types/node']) {
    const link = join(directory, 'node_modules', dependency)
    await mkdir(dirname(link), { recursive: true })
    await symlink(join(modules, dependency), link, 'junction')
  }
  await writeFile(join(directory, 'package.json'), JSON.stringify({ name, private: true, ...(type === null ? {} : { type }) }))
  for (const [file, source] of Object.entries(sources)) await writeFile(join(directory, file), source)
  return directory
}

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
    const token: string = app.jwt.createAccessToken('user123', { expiresIn: '5m', fresh: true, claims: { role: 'admin' } })
    app.jwt.setAccessCookies(reply, token)
    return app.jwt.verifyToken(token)
  })
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
const names = 'jwtRequired, verifyJwt, type JwtClaims'
// Without skipLibCheck: our declarations are checked, too.
const tsconfig = (include: string) => JSON.stringify({
  compilerOptions: {
    module: 'nodenext', target: 'es2023', lib: ['es2023'], types: ['node'], strict: true, exactOptionalPropertyTypes: true, noEmit: true
  },
  include: [include]
})

async function typechecks (directory: string): Promise<string> {
  try {
    return (await run(process.execPath, [join(modules, 'typescript/bin/tsc'), '-p', '.'], directory)).stdout
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

t.test('the tarball holds what is built and what a reader needs, and nothing else', async t => {
  for (const path of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md', 'docs/getting-started.md', 'dist/index.js', 'dist/index.d.ts']) {
    t.ok(files.includes(path), path)
  }
  const strangers = files.filter(path => !/^(package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|docs\/[\w-]+\.md|dist\/[\w./-]+\.(js|d\.ts|js\.map|d\.ts\.map))$/.test(path))
  t.strictSame(strangers, [])
})

t.test('it works in an empty ESM project, with types', async t => {
  const directory = await project('esm', 'module', {
    'app.js': `import Fastify from 'fastify'\nimport jwt, { jwtRequired } from 'fastify-jwt-extended'\nconst app = Fastify()\n${app}`,
    'app.ts': typed(`import Fastify from 'fastify'\nimport jwt, { ${names} } from 'fastify-jwt-extended'`),
    'tsconfig.json': tsconfig('*.ts')
  })
  const { stdout, stderr } = await run(process.execPath, ['app.js'], directory)
  t.strictSame(JSON.parse(stdout), answer)
  t.equal(stderr, '')
  t.equal(await typechecks(directory), '')
})

t.test('it works in an empty CommonJS project, with types', async t => {
  const directory = await project('cjs', 'commonjs', {
    'app.js': 'const Fastify = require(\'fastify\')\nconst { default: jwt, jwtRequired } = require(\'fastify-jwt-extended\')\n' +
      `const app = Fastify()\nasync function main () {${app}}\nmain()`,
    'whole.js': 'const Fastify = require(\'fastify\')\nconst jwt = require(\'fastify-jwt-extended\')\nconst { jwtRequired } = jwt\n' +
      `const app = Fastify()\nasync function main () {${app}}\nmain()`,
    'app.ts': typed(`import Fastify from 'fastify'\nimport jwt, { ${names} } from 'fastify-jwt-extended'`),
    'tsconfig.json': tsconfig('*.ts')
  })
  for (const file of ['app.js', 'whole.js']) {
    const { stdout } = await run(process.execPath, [file], directory)
    t.strictSame(JSON.parse(stdout), answer, file)
  }
  t.equal(await typechecks(directory), '')
})

t.test('the example of the README, pasted into an empty folder, works in JavaScript and in TypeScript at its strictest', async t => {
  const [, example = ''] = /^```ts\n([\s\S]*?)^```$/m.exec(await readFile(join(root, 'README.md'), 'utf8')) ?? []
  t.match(example, 'await app.listen({ port: 3000 })')
  const directory = await project('readme', null, {
    // All as it stands there, but for a port that is certainly free, and a line that tells which.
    'app.mjs': `${example.replace('port: 3000', 'port: 0')}\nconsole.log(app.server.address().port)`,
    'app.mts': example,
    'tsconfig.json': tsconfig('*.mts')
  })
  t.equal(await typechecks(directory), '')

  const server = spawn(process.execPath, ['app.mjs'], { cwd: directory, env: plainEnvironment({ JWT_SECRET_KEY: randomBytes(48).toString('base64') }), stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { server.kill() })
  const [port] = await once(server.stdout.setEncoding('utf8'), 'data') as [string]
  const send = async (method: string, path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://127.0.0.1:${port.trim()}${path}`, { method, headers })
    return { status: response.status, body: await response.json() as Record<string, unknown>, cookies: response.headers.getSetCookie() }
  }
  const { body: { accessToken }, cookies } = await send('POST', '/login')
  const authorization = `Bearer ${String(accessToken)}`
  const cookie = cookies[0]?.split(';')[0] ?? ''
  t.strictSame((await send('GET', '/protected', { authorization })).body, { user: 'user123' })
  t.strictSame((await send('GET', '/protected', { cookie })).body, { user: 'user123' })
  t.equal((await send('GET', '/protected')).status, 401)
  t.strictSame((await send('POST', '/password', { authorization })).body, { changed: true })
  t.equal((await send('POST', '/password', { cookie, 'sec-fetch-site': 'cross-site' })).status, 403)
  const out = await send('POST', '/logout', { cookie })
  t.match(out, { status: 200, body: { loggedOut: true } })
  t.ok(out.cookies.some(line => /^access_token_cookie=;.*Max-Age=0/.test(line)), 'the cookie is cleared')
})

t.test('the client for browsers has its types where there is no Node, and no type of the server comes with it', async t => {
  const directory = await project('browser', 'module', {
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
  })
  t.equal(await typechecks(directory), '')
})

t.test('the plugin has the name that other plugins may depend on', async t => {
  const directory = await project('named', 'module', {
    'app.js': `import Fastify from 'fastify'
import jwt from 'fastify-jwt-extended'
const app = Fastify()
await app.register(jwt, { secretKey: 'a secret that is long enough for HS256' })
console.log(app.hasPlugin('fastify-jwt-extended'))`
  })
  t.equal((await run(process.execPath, ['app.js'], directory)).stdout, 'true\n')
})
