import Fastify from 'fastify'
import t from 'tap'
import jwt, {
  allOf, anyOf, freshJwtRequired, guard, jwtOptional, jwtRequired, not, permission, refreshTokenRequired, role, scope
} from '../../../lib/index.ts'
import type { Guard } from '../../../lib/index.ts'

const secretKey = 'a secret of at least thirty-two bytes'
const roles = 'https://example.com/roles'

/** Whose tokens the table is read by. */
const bearers: Record<string, Record<string, unknown>> = {
  nobody: {},
  admin: { roles: ['admin'] },
  adminByString: { roles: 'admin' },
  adminByRole: { role: 'admin' },
  adminByRoles: { role: ['admin', 'auditor'] },
  emptyRoles: { roles: [], role: 'admin' },
  nullRoles: { roles: null, role: 'admin' },
  oddRoles: { roles: { admin: true }, role: 'admin' },
  editor: { roles: ['editor'] },
  writer: { roles: ['editor'], permissions: ['articles:write'] },
  staff: { roles: ['staff', 'auditor'] },
  suspended: { roles: ['admin', 'suspended'] },
  reader: { scope: 'read' },
  both: { scope: 'read write' },
  scopeList: { scope: ['read', 'write'] },
  scp: { scp: ['read'] },
  prefix: { scope: 'readonly', roles: 'administrator', permissions: 'articles:write:own' },
  spaced: { roles: 'editor admin', permissions: 'articles:read articles:write' },
  namespaced: { [roles]: ['admin'] },
  keycloak: { realm_access: { roles: ['admin'] } },
  numbers: { roles: [1, null, { name: 'admin' }] }
}
const passes = guard(() => true)
const passesLater = guard(async () => true)
const refuses = guard(() => false)
const refusesLater = guard(async () => false)
const editing = anyOf(role('admin'), allOf(role('editor'), permission('articles:write')))

/** Every guard with those it lets in; all others it refuses with the message. */
const table: [name: string, guard: Guard, allowed: string[], message: string | null, scopes?: string][] = [
  ["role('admin')", role('admin'), ['admin', 'adminByString', 'adminByRole', 'adminByRoles', 'nullRoles', 'suspended'], 'Missing role: admin'],
  ["role('admin', 'editor')", role('admin', 'editor'), ['admin', 'adminByString', 'adminByRole', 'adminByRoles', 'nullRoles', 'suspended', 'editor', 'writer'], 'Missing role: admin or editor'],
  ["role(['admin', 'editor'])", role(['admin', 'editor']), ['admin', 'adminByString', 'adminByRole', 'adminByRoles', 'nullRoles', 'suspended', 'editor', 'writer'], 'Missing role: admin or editor'],
  ["role('admin', {})", role('admin', {}), ['admin', 'adminByString', 'adminByRole', 'adminByRoles', 'nullRoles', 'suspended'], 'Missing role: admin'],
  ["role(['staff', 'auditor'], all)", role(['staff', 'auditor'], { match: 'all' }), ['staff'], null],
  ['role in a namespaced claim', role('admin', { claim: roles }), ['namespaced'], 'Missing role: admin'],
  ['role in a nested claim', role('admin', { claim: ['realm_access', 'roles'] }), ['keycloak'], 'Missing role: admin'],
  ['role in no own claim', role('function', { claim: ['constructor', 'name'] }), [], 'Missing role: function'],
  ["role('toString')", role('toString', { claim: 'toString' }), [], 'Missing role: toString'],
  ["permission('articles:write')", permission('articles:write'), ['writer'], 'Missing permission: articles:write'],
  ["scope('read')", scope('read'), ['reader', 'both', 'scopeList', 'scp'], 'Missing scope: read', 'read'],
  ["scope('read', 'write')", scope('read', 'write'), ['reader', 'both', 'scopeList', 'scp'], 'Missing scope: read or write', 'read write'],
  ["scope(['read', 'write'], all)", scope(['read', 'write'], { match: 'all' }), ['both', 'scopeList'], null, 'read write'],
  ['guard: true', passes, Object.keys(bearers), null],
  ['guard: promise of true', passesLater, Object.keys(bearers), null],
  ['guard: false', refuses, [], 'Access denied'],
  ['guard: promise of false', refusesLater, [], 'Access denied'],
  ['guard: nothing', guard(() => undefined), [], 'Access denied'],
  ['guard: null', guard(async () => null), [], 'Access denied'],
  ['guard with a message', guard(() => false, { message: 'Not the author' }), [], 'Not the author'],
  ['guard of claims', guard((request, claims) => claims.identity === request.jwtIdentity && claims['scope'] === 'read'), ['reader'], 'Access denied'],
  ['anyOf(admin, allOf(editor, write))', editing, ['admin', 'adminByString', 'adminByRole', 'adminByRoles', 'nullRoles', 'suspended', 'writer'], null],
  ['anyOf(admin, read)', anyOf(role('admin'), scope('read')), ['admin', 'adminByString', 'adminByRole', 'adminByRoles', 'nullRoles', 'suspended', 'reader', 'both', 'scopeList', 'scp'], 'Missing role: admin or scope: read', 'read'],
  ['anyOf(false, true)', anyOf(refuses, passes), Object.keys(bearers), null],
  ['anyOf(later false, later true)', anyOf(refusesLater, passesLater), Object.keys(bearers), null],
  ['anyOf(false, later false)', anyOf(refuses, refusesLater), [], 'Access denied'],
  ['anyOf of one', anyOf(role('staff')), ['staff'], 'Missing role: staff'],
  ['allOf of one', allOf(role('staff')), ['staff'], 'Missing role: staff'],
  ['allOf(later true, staff)', allOf(passesLater, role('staff')), ['staff'], 'Missing role: staff'],
  ['allOf(true, later false)', allOf(passes, refusesLater), [], 'Access denied'],
  ['allOf(admin, not(suspended))', allOf(role('admin'), not(role('suspended'))), ['admin', 'adminByString', 'adminByRole', 'adminByRoles', 'nullRoles'], null],
  ['not(true)', not(passes), [], 'Not for a check of the application'],
  ['not(later true)', not(passesLater), [], 'Not for a check of the application'],
  ['not(false)', not(refuses), Object.keys(bearers), null],
  ['not(later false)', not(refusesLater), Object.keys(bearers), null],
  ['not(suspended)', not(role('suspended')), Object.keys(bearers).filter(name => name !== 'suspended'), 'Not for role: suspended'],
  ['not(not(suspended))', not(not(role('suspended'))), ['suspended'], 'Not for not (role: suspended)'],
  ['not(anyOf(editing))', not(editing), Object.keys(bearers).filter(name => !['admin', 'adminByString', 'adminByRole', 'adminByRoles', 'nullRoles', 'suspended', 'writer'].includes(name)), 'Not for role: admin or (role: editor and permission: articles:write)'],
  ['anyOf(admin, fresh token)', anyOf(role('admin'), freshJwtRequired), ['admin', 'adminByString', 'adminByRole', 'adminByRoles', 'nullRoles', 'suspended'], null],
  ['anyOf(access token, admin)', anyOf(jwtRequired, role('admin')), Object.keys(bearers), null],
  ['allOf(access token, admin)', allOf(jwtRequired, role('staff')), ['staff'], 'Missing role: staff']
]

t.test('every guard lets in whom it should, and refuses all others with 403 and what is missing', async t => {
  const app = Fastify()
  await app.register(jwt, { secretKey })
  for (const [index, [, hook]] of table.entries()) {
    app.get(`/${index}`, { preHandler: [jwtRequired, hook] }, async request => ({ user: request.jwtIdentity }))
    app.get(`/bare/${index}`, { preHandler: hook }, async () => ({ reached: true }))
    app.get(`/optional/${index}`, { onRequest: jwtOptional, preHandler: hook }, async () => ({ reached: true }))
  }
  for (const [index, [name, , allowed, message, scopes]] of table.entries()) {
    for (const [bearer, claims] of Object.entries(bearers)) {
      const headers = { authorization: `Bearer ${app.jwt.createAccessToken(bearer, { claims })}` }
      const answer = await app.inject({ url: `/${index}`, headers })
      const should = allowed.includes(bearer)
      const onlyStale = name.includes('fresh token')
      t.equal(answer.statusCode, should ? 200 : onlyStale ? 401 : 403, `${name} ${should ? 'passes' : 'refuses'} ${bearer}`)
      if (should) t.same(answer.json(), { user: bearer })
      else if (!onlyStale) {
        t.equal(answer.json().code, 'FST_JWT_FORBIDDEN', `${name}, ${bearer}`)
        if (message !== null) t.equal(answer.json().message, message, `${name}, ${bearer}`)
        const challenge = `Bearer error="insufficient_scope", error_description="${answer.json().message}"`
        t.equal(answer.headers['www-authenticate'], scopes === undefined ? challenge : `${challenge}, scope="${scopes}"`)
      }
    }
    for (const url of [`/${index}`, `/bare/${index}`, `/optional/${index}`]) {
      const anonymous = await app.inject(url)
      t.equal(anonymous.statusCode, 401, `${name} at ${url} is 401 with no verified token`)
      t.equal(anonymous.json().code, 'FST_JWT_MISSING_TOKEN')
      t.equal(anonymous.headers['www-authenticate'], 'Bearer')
    }
  }
})

t.test('a refusal names what is missing, and nothing the token has', async t => {
  const app = Fastify()
  await app.register(jwt, { secretKey, realm: 'example', messages: { FST_JWT_FORBIDDEN: 'No: %s' } })
  app.get('/staff', { preHandler: [jwtRequired, role(['staff', 'auditor'], { match: 'all' })] }, async () => 'in')
  app.get('/edit', { preHandler: [jwtRequired, editing] }, async () => 'in')
  app.get('/scopes', { preHandler: [jwtRequired, allOf(scope('read'), scope('write'))] }, async () => 'in')
  const ask = (url: string, claims = {}) => app.inject({ url, headers: { authorization: `Bearer ${app.jwt.createAccessToken('user', { claims })}` } })

  t.equal((await ask('/staff')).json().message, 'No: Missing roles: staff and auditor')
  t.equal((await ask('/staff', { roles: 'auditor' })).json().message, 'No: Missing role: staff')
  t.equal((await ask('/edit')).json().message, 'No: Missing role: admin or role: editor')
  t.equal((await ask('/edit', { roles: 'editor' })).json().message, 'No: Missing role: admin or permission: articles:write')
  t.equal((await ask('/scopes', { scope: 'read' })).headers['www-authenticate'],
    'Bearer realm="example", error="insufficient_scope", error_description="Missing scope: write", scope="write"')
})

t.test('a guard is synchronous unless one in it is not', async t => {
  const app = Fastify()
  await app.register(jwt, { secretKey })
  const order: string[] = []
  const hook = allOf(anyOf(role('editor'), role('admin')), not(role('suspended')), guard(() => true))
  const run = hook.bind(app)
  app.get('/', {
    preHandler: [jwtRequired, (request, reply, done) => {
      run(request, reply, error => { order.push(error === undefined ? 'guard passed' : 'guard refused') })
      order.push('after the guard')
      done()
    }]
  }, async () => 'in')
  await app.inject({ url: '/', headers: { authorization: `Bearer ${app.jwt.createAccessToken('user', { claims: { roles: 'admin' } })}` } })
  t.same(order, ['guard passed', 'after the guard'])
})

t.test('what a guard throws is never a pass', async t => {
  const app = Fastify({ logger: false })
  await app.register(jwt, { secretKey })
  const fault = (value: unknown) => [
    guard(() => { throw value }),
    guard(async () => { throw value })
  ]
  const notFound = Object.assign(new Error('No such article'), { statusCode: 404 })
  const cases: [string, unknown, number][] = [
    ['an error', new Error('bug'), 500],
    ['an error with a status', notFound, 404],
    ['undefined', undefined, 500],
    ['null', null, 500],
    ['false', false, 500],
    ['a string', 'no', 500]
  ]
  const routes: [name: string, status: number][] = []
  for (const [name, value, status] of cases) {
    for (const [index, faulty] of fault(value).entries()) {
      for (const [kind, hook] of [
        ['alone', faulty], ['not', not(faulty)], ['not not', not(not(faulty))], ['anyOf first', anyOf(faulty, passes)],
        ['not anyOf', not(anyOf(faulty, refuses))], ['allOf', allOf(faulty, passes)], ['not allOf', not(allOf(passes, faulty))]
      ] as const) {
        app.get(`/${routes.length}`, { preHandler: [jwtRequired, hook] }, async () => 'reached')
        routes.push([`${name} thrown, ${index === 0 ? 'at once' : 'later'}, ${kind}`, status])
      }
    }
  }
  const headers = { authorization: `Bearer ${app.jwt.createAccessToken('user')}` }
  for (const [index, [name, status]] of routes.entries()) {
    const answer = await app.inject({ url: `/${index}`, headers })
    t.equal(answer.statusCode, status, name)
    t.not(answer.body, 'reached')
    t.notMatch(answer.body, 'not found', 'the route is there')
  }
})

t.test('a guard that gives something else than a verdict fails, and passes nowhere', async t => {
  const app = Fastify()
  const causes: unknown[] = []
  app.addHook('onError', async (_request, _reply, { cause }) => { causes.push(cause) })
  await app.register(jwt, { secretKey })
  const odd = () => passes as never
  for (const [index, hook] of [guard(odd), not(guard(odd)), anyOf(guard(odd), passes), guard(async () => 'yes' as never)].entries()) {
    app.get(`/${index}`, { preHandler: [jwtRequired, hook] }, async () => 'reached')
  }
  const headers = { authorization: `Bearer ${app.jwt.createAccessToken('user')}` }
  for (const index of [0, 1, 2, 3]) {
    const answer = await app.inject({ url: `/${index}`, headers })
    t.equal(answer.statusCode, 500)
  }
  t.match(causes, Array.from({ length: 4 }, () => ({ message: /'guard' must return true or false/ })))
})

t.test('a token refused within a guard is answered as such, and within anyOf leaves the alternatives', async t => {
  const app = Fastify()
  await app.register(jwt, { secretKey })
  const freshOnly = guard(async request => { await request.verifyJwt({ fresh: true }); return true })
  app.get('/alone', { preHandler: [jwtRequired, freshOnly] }, async () => 'in')
  app.get('/any', { preHandler: [jwtRequired, anyOf(freshOnly, role('admin'))] }, async () => 'in')
  app.get('/not', { preHandler: [jwtRequired, not(anyOf(freshOnly, role('admin')))] }, async () => 'in')
  app.get('/types', { preHandler: anyOf(refreshTokenRequired, allOf(freshJwtRequired, role('admin'))) }, async request => request.jwtIdentity)
  const ask = (url: string, token: string) => app.inject({ url, headers: { authorization: `Bearer ${token}` } })
  const stale = app.jwt.createAccessToken('user')
  const admin = app.jwt.createAccessToken('admin', { claims: { roles: 'admin' } })

  t.equal((await ask('/alone', stale)).json().code, 'FST_JWT_FRESH_REQUIRED')
  t.equal((await ask('/any', stale)).json().code, 'FST_JWT_FRESH_REQUIRED')
  t.equal((await ask('/any', admin)).statusCode, 200)
  t.equal((await ask('/not', stale)).json().code, 'FST_JWT_FRESH_REQUIRED', 'no verdict, so no pass')
  t.equal((await ask('/not', admin)).json().code, 'FST_JWT_FORBIDDEN')
  t.equal((await ask('/types', app.jwt.createRefreshToken('user'))).body, 'user')
  t.equal((await ask('/types', app.jwt.createAccessToken('user', { fresh: true }))).json().code, 'FST_JWT_REFRESH_REQUIRED')
  t.equal((await ask('/types', app.jwt.createAccessToken('admin', { fresh: true, claims: { roles: 'admin' } }))).body, 'admin')
  t.equal((await app.inject('/types')).json().code, 'FST_JWT_MISSING_TOKEN')
})

t.test('claims that verifyClaims rejects are one alternative less', async t => {
  const app = Fastify()
  await app.register(jwt, { secretKey, verifyClaims: claims => claims['fine'] === true })
  const lenient = guard(() => true)
  app.get('/', { preHandler: anyOf(jwtRequired, lenient) }, async () => 'in')
  const ask = (fine: boolean) => app.inject({ url: '/', headers: { authorization: `Bearer ${app.jwt.createAccessToken('user', { claims: { fine } })}` } })
  t.equal((await ask(true)).statusCode, 200)
  t.equal((await ask(false)).json().code, 'FST_JWT_CLAIMS_REJECTED', 'and a guard lets in nobody whose token was not verified')
})

t.test('a store that does not answer ends anyOf with 503, whatever the alternatives', async t => {
  const app = Fastify()
  let down = false
  await app.register(jwt, { secretKey, isRevoked: () => { if (down) throw Object.assign(new Error('down'), { statusCode: 503 }); return false } })
  app.get('/', { preHandler: anyOf(jwtRequired, passes) }, async () => 'in')
  const headers = { authorization: `Bearer ${app.jwt.createAccessToken('user')}` }
  t.equal((await app.inject({ url: '/', headers })).statusCode, 200)
  down = true
  t.equal((await app.inject({ url: '/', headers })).statusCode, 503)
})

t.test('a callback of the app that throws undefined is an error, not a pass', async t => {
  const app = Fastify()
  const refused = (): never => { throw undefined as never } // eslint-disable-line no-throw-literal
  await app.register(jwt, { secretKey, userLookup: claims => claims.identity === 'later' ? Promise.reject() : refused() }) // eslint-disable-line prefer-promise-reject-errors
  app.get('/', { preHandler: jwtRequired }, async () => 'reached')
  for (const user of ['now', 'later']) {
    const answer = await app.inject({ url: '/', headers: { authorization: `Bearer ${app.jwt.createAccessToken(user)}` } })
    t.equal(answer.statusCode, 500)
    t.not(answer.body, 'reached')
  }
})
