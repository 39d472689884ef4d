import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { crossOriginProtection, freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired, role, verifyJwt } from '../../../lib/index.ts'
import type { JwtHook } from '../../../lib/index.ts'
import { bearer, otherSecretKey, passes, protectedApp, refusals, refused, secretKey, seen } from '../../helpers/protected-app.ts'
import { claims, forge } from '../../helpers/forge.ts'

const phases = ['onRequest', 'preValidation', 'preHandler'] as const
const presets = { jwtRequired, jwtOptional, freshJwtRequired, refreshTokenRequired }

function attached (request: FastifyRequest) {
  const { jwtIdentity, jwtClaims, jwtHeader, jwtLocation, jwtUser } = request
  return { jwtIdentity, jwtClaims, jwtHeader, jwtLocation, jwtUser }
}
const nothing = { jwtIdentity: null, jwtClaims: null, jwtHeader: null, jwtLocation: null, jwtUser: null }

/** Asserts what each preset makes of each kind of token on the routes `/${preset}`. */
async function assertPresets (t: Test, app: FastifyInstance, prefix = ''): Promise<void> {
  const tokens = {
    none: undefined,
    access: app.jwt.createAccessToken('user123'),
    fresh: app.jwt.createAccessToken('user123', { fresh: true }),
    refresh: app.jwt.createRefreshToken('user123')
  }
  const verdicts = {
    jwtRequired: { none: refusals.missing, access: 'user123', fresh: 'user123', refresh: refusals.accessRequired },
    jwtOptional: { none: null, access: 'user123', fresh: 'user123', refresh: null },
    freshJwtRequired: {
      none: refusals.missing, access: refusals.freshRequired, fresh: 'user123', refresh: refusals.accessRequired
    },
    refreshTokenRequired: {
      none: refusals.missing, access: refusals.refreshRequired, fresh: refusals.refreshRequired, refresh: 'user123'
    }
  }
  for (const [preset, byToken] of Object.entries(verdicts)) {
    for (const [kind, verdict] of Object.entries(byToken)) {
      const token = tokens[kind as keyof typeof tokens]
      const request = { url: `${prefix}/${preset}`, headers: token === undefined ? {} : bearer(token) }
      const name = `${preset}, ${kind} token`
      if (verdict === null || typeof verdict === 'string') await passes(t, app, request, verdict, name)
      else await refused(t, app, request, verdict, name)
    }
  }
}

for (const phase of phases) {
  t.test(`hooks of the module work on a route as ${phase}`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(jwt, { secretKey })
    for (const [name, hook] of Object.entries(presets)) {
      app.get(`/${name}`, { [phase]: hook }, async request => seen(request))
    }
    await assertPresets(t, app)
  })

  t.test(`hooks of the instance work on a route as ${phase}`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(jwt, { secretKey })
    for (const name of Object.keys(presets) as Array<keyof typeof presets>) {
      app.get(`/${name}`, { [phase]: [app[name]] }, async request => seen(request))
    }
    await assertPresets(t, app)
  })

  t.test(`hooks work by addHook as ${phase}, for the context they are added to`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(jwt, { secretKey })
    for (const [name, hook] of Object.entries(presets)) {
      await app.register(async context => {
        context.addHook(phase as 'onRequest', name === 'jwtRequired' ? context.jwtRequired : hook)
        context.get(`/${name}`, async request => seen(request))
      })
    }
    app.get('/open', async request => seen(request))
    await assertPresets(t, app)
    await passes(t, app, { url: '/open' }, null, 'a route of the context outside')
  })
}

t.test('verifyJwt is the general form of the four', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  for (const [prefix, form] of Object.entries({ '/module': verifyJwt, '/instance': app.verifyJwt.bind(app) })) {
    app.get(`${prefix}/jwtRequired`, { preHandler: form() }, async request => seen(request))
    app.get(`${prefix}/jwtOptional`, { preHandler: form({ optional: true }) }, async request => seen(request))
    app.get(`${prefix}/freshJwtRequired`, { preHandler: form({ fresh: true }) }, async request => seen(request))
    app.get(`${prefix}/refreshTokenRequired`, { preHandler: form({ type: 'refresh' }) }, async request => seen(request))
    app.get(`${prefix}/any`, { preHandler: form({ type: 'any' }) }, async request => seen(request))
  }
  for (const prefix of ['/module', '/instance']) {
    await assertPresets(t, app, prefix)
    const url = `${prefix}/any`
    await passes(t, app, { url, headers: bearer(app.jwt.createAccessToken('user123')) }, 'user123', 'any: access')
    await passes(t, app, { url, headers: bearer(app.jwt.createRefreshToken('user123')) }, 'user123', 'any: refresh')
    await refused(t, app, { url }, refusals.missing, 'any: none')
  }
})

t.test('request.verifyJwt does inside a handler what a hook does before it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  const options = {
    jwtRequired: {}, jwtOptional: { optional: true }, freshJwtRequired: { fresh: true }, refreshTokenRequired: { type: 'refresh' }
  } as const
  for (const [name, option] of Object.entries(options)) {
    app.get(`/${name}`, async request => {
      t.strictSame(attached(request), nothing, 'nothing before it was asked')
      const result = await request.verifyJwt(option)
      t.equal(result, undefined)
      return seen(request)
    })
  }
  app.get('/default', async request => {
    await request.verifyJwt()
    return seen(request)
  })
  app.get('/caught', async request => {
    try {
      await request.verifyJwt()
      return {}
    } catch (error) {
      return { code: (error as { code: string }).code, ...attached(request) }
    }
  })
  await assertPresets(t, app)
  await passes(t, app, { url: '/default', headers: bearer(app.jwt.createAccessToken('user123')) }, 'user123', 'default')
  await refused(t, app, { url: '/default' }, refusals.missing, 'default, no token')
  const response = await app.inject({ url: '/caught', headers: bearer(app.jwt.createRefreshToken('user123')) })
  t.strictSame(response.json(), { code: 'FST_JWT_ACCESS_REQUIRED', ...nothing }, 'a refusal can be caught')
})

t.test('a hook sets identity, claims, header and location', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.get('/', { preHandler: jwtRequired }, async request => attached(request))
  const token = app.jwt.createAccessToken('user123', { claims: { role: 'admin' } })
  const response = await app.inject({ url: '/', headers: bearer(token) })
  t.strictSame(response.json(), {
    jwtIdentity: 'user123',
    jwtClaims: app.jwt.decodeToken(token),
    jwtHeader: { alg: 'HS256', typ: 'JWT' },
    jwtLocation: 'headers',
    jwtUser: null
  })
})

t.test('an optional hook that lets nobody in takes away what a hook before it has attached', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.get('/', { preHandler: [jwtRequired, verifyJwt({ type: 'refresh', optional: true })] }, async request => attached(request))
  const response = await app.inject({ url: '/', headers: bearer(app.jwt.createAccessToken('user123')) })
  t.strictSame(response.json(), { jwtIdentity: null, jwtClaims: null, jwtHeader: null, jwtLocation: null, jwtUser: null })
})

t.test('a number as identity is a string on the request', async t => {
  const app = await protectedApp(t)
  await passes(t, app, { url: '/required', headers: bearer(app.jwt.createAccessToken(42)) }, '42', 'a number')
})

t.test('everything on the request is null before a hook has passed', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const before: unknown[] = []
  await app.register(jwt, { secretKey })
  app.addHook('onRequest', async request => { before.push(attached(request)) })
  app.get('/guarded', { preHandler: jwtRequired }, async request => seen(request))
  app.get('/open', async request => attached(request))
  const headers = bearer(app.jwt.createAccessToken('user123'))
  await passes(t, app, { url: '/guarded', headers }, 'user123', 'guarded')
  const response = await app.inject({ url: '/open', headers })
  t.strictSame(response.json(), nothing, 'a route without a hook sees nothing, token or not')
  t.strictSame(before, [nothing, nothing], 'nothing is left of the request before')
})

t.test('nothing is attached when anything failed', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const after: unknown[] = []
  await app.register(jwt, { secretKey, tokenLocation: ['headers', 'cookies'] })
  app.addHook('onError', async request => { after.push(attached(request)) })
  app.addHook('onResponse', async request => { after.push(attached(request)) })
  app.get('/required', { preHandler: jwtRequired }, async () => t.fail('reached'))
  app.post('/required', { preHandler: jwtRequired }, async () => t.fail('reached'))
  app.get('/fresh', { preHandler: freshJwtRequired }, async () => t.fail('reached'))
  app.get('/refresh', { preHandler: refreshTokenRequired }, async () => t.fail('reached'))
  await app.ready()

  const access = app.jwt.createAccessToken('user123')
  const failures = [
    { url: '/required' },
    { url: '/required', headers: bearer(app.jwt.createAccessToken('user123', { expiresIn: -1 })) },
    { url: '/required', headers: bearer(forge(claims(), {}, otherSecretKey)) },
    { url: '/required', headers: bearer(app.jwt.createRefreshToken('user123')) },
    { url: '/fresh', headers: bearer(access) },
    { url: '/refresh', headers: bearer(access) },
    {
      method: 'POST' as const,
      url: '/required',
      headers: { 'sec-fetch-site': 'cross-site' },
      cookies: { access_token_cookie: access }
    }
  ]
  for (const request of failures) {
    const response = await app.inject(request)
    t.ok(response.statusCode === 401 || response.statusCode === 403, `refused with ${response.statusCode}`)
  }
  t.strictSame(after, failures.flatMap(() => [nothing, nothing]))
})

t.test('contexts beside and inside each other have their own keys, cookies and issuers: the nearest wins', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const keys = {
    root: secretKey,
    admin: 'the key of the admin context, long enough for HS256',
    shop: 'the key of the shop context, long enough for HS256',
    deep: 'the key of the deepest context, long enough for HS256'
  }
  type Context = keyof typeof keys
  const contexts = {} as Record<Context, FastifyInstance>
  const options = (name: Context) => ({
    secretKey: keys[name],
    issuer: `${name}.example`,
    tokenLocation: ['headers', 'cookies'] as const,
    accessCookieName: `${name}_access`
  })
  function routes (context: FastifyInstance, name: Context): void {
    contexts[name] = context
    context.get(`/${name}/module`, { preHandler: jwtRequired }, async request => seen(request))
    context.get(`/${name}/instance`, { preHandler: context.jwtRequired }, async request => seen(request))
    context.get(`/${name}/handler`, async request => {
      await request.verifyJwt()
      return seen(request)
    })
  }
  await app.register(jwt, { ...options('root'), tokenLocation: ['headers', 'cookies'] })
  routes(app, 'root')
  await app.register(async admin => {
    await admin.register(jwt, { ...options('admin'), tokenLocation: ['headers', 'cookies'] })
    routes(admin, 'admin')
    await admin.register(async deep => {
      await deep.register(jwt, { ...options('deep'), tokenLocation: ['headers', 'cookies'] })
      routes(deep, 'deep')
    })
  })
  await app.register(async shop => {
    await shop.register(jwt, { ...options('shop'), tokenLocation: ['headers', 'cookies'] })
    routes(shop, 'shop')
  })
  await app.ready()

  const names = Object.keys(keys) as Context[]
  for (const from of names) {
    const token = contexts[from].jwt.createAccessToken(`user of ${from}`)
    t.equal(contexts[from].jwt.decodeToken(token).iss, `${from}.example`)
    for (const to of names) {
      t.equal(contexts[to].jwt.verifyToken(token), from === to, `a token of ${from} in ${to}`)
      for (const form of ['module', 'instance', 'handler']) {
        const url = `/${to}/${form}`
        const name = `a token of ${from} at ${url}`
        const cookies = { [`${from}_access`]: token }
        if (from === to) {
          await passes(t, app, { url, headers: bearer(token) }, `user of ${from}`, name)
          await passes(t, app, { url, cookies }, `user of ${from}`, `${name} by cookie`)
        } else {
          await refused(t, app, { url, headers: bearer(token) }, refusals.signature, name)
          await refused(t, app, { url, cookies }, refusals.missing, `${name} by cookie`)
        }
      }
    }
    const wrongIssuer = forge(claims({ iss: 'elsewhere.example' }), {}, keys[from])
    await refused(t, app, { url: `/${from}/module`, headers: bearer(wrongIssuer) }, refusals.invalid, `${from}: another issuer`)
  }
})

t.test('a hook that an outer context added uses the options of the inner one', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.addHook('onRequest', jwtRequired)
  app.get('/outer', async request => seen(request))
  let inner: FastifyInstance | undefined
  await app.register(async context => {
    await context.register(jwt, { secretKey: otherSecretKey })
    context.get('/inner', async request => seen(request))
    inner = context
  })
  await app.ready()
  const outerToken = app.jwt.createAccessToken('outer')
  const innerToken = inner?.jwt.createAccessToken('inner') ?? ''
  await passes(t, app, { url: '/outer', headers: bearer(outerToken) }, 'outer', 'outer at outer')
  await passes(t, app, { url: '/inner', headers: bearer(innerToken) }, 'inner', 'inner at inner')
  await refused(t, app, { url: '/inner', headers: bearer(outerToken) }, refusals.signature, 'outer at inner')
  await refused(t, app, { url: '/outer', headers: bearer(innerToken) }, refusals.signature, 'inner at outer')
})

t.test('a context that registers nothing has the options of the one around it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  await app.register(async context => {
    await context.register(async deeper => {
      deeper.get('/deeper', { preHandler: [deeper.jwtRequired] }, async request => seen(request))
    })
  })
  await app.ready()
  await passes(t, app, { url: '/deeper', headers: bearer(app.jwt.createAccessToken('user123')) }, 'user123', 'deeper')
})

t.test('registering twice in the same context is an error that says so', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  await t.rejects(async () => { await app.register(jwt, { secretKey: otherSecretKey }) },
    { message: /fastify-jwt-extended.* second time in the same context/ })

  const wrapped = Fastify()
  t.teardown(() => wrapped.close())
  const auth = fp(async (instance: FastifyInstance) => { await instance.register(jwt, { secretKey }) })
  await wrapped.register(auth)
  await t.rejects(async () => { await wrapped.register(jwt, { secretKey }) },
    { message: /fastify-jwt-extended.* second time in the same context/ }, 'also when the first was wrapped by fastify-plugin')
})

t.test('a name that the app has given to something else stops start-up, and is not taken for ours', async t => {
  for (const name of ['jwtIdentity', 'jwtClaims', 'jwtHeader', 'jwtLocation', 'jwtUser', 'verifyJwt']) {
    for (const value of [null, 'someone', { getter: () => 'someone' }, () => 'someone']) {
      const app = Fastify()
      t.teardown(() => app.close())
      app.decorateRequest(name, value as null)
      await t.rejects(async () => app.register(jwt, { secretKey }), { code: 'FST_ERR_DEC_ALREADY_PRESENT', message: new RegExp(name) }, `${name}: ${typeof value}`)
    }
  }
})

t.test('a hook of the module where the plugin is not registered is a 500, and its cause says why', async t => {
  const hooks: Record<string, JwtHook> = { ...presets, verifyJwt: verifyJwt() }
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onError', async (_request, _reply, { cause }) => { t.match(cause, { message: /register it there, or above/ }) })
  let token = ''
  await app.register(async context => {
    await context.register(jwt, { secretKey })
    token = context.jwt.createAccessToken('user123')
  })
  for (const [name, hook] of Object.entries(hooks)) {
    for (const phase of phases) app.get(`/${name}/${phase}`, { [phase]: hook }, async () => t.fail('reached'))
  }
  await app.ready()
  for (const name of Object.keys(hooks)) {
    for (const phase of phases) {
      const response = await app.inject({ url: `/${name}/${phase}`, headers: bearer(token) })
      t.equal(response.statusCode, 500, `${name} as ${phase}`)
      t.match(response.json(), {
        statusCode: 500, code: 'FST_JWT_NOT_REGISTERED', error: 'Internal Server Error', message: 'Authentication is not set up correctly'
      })
      for (const part of token.split('.')) t.notOk(response.payload.includes(part), 'no part of the token in the body')
      t.equal(response.headers['www-authenticate'], undefined)
    }
  }
})

t.test('a handler cannot change what another request sees', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  const meddle: Array<(claims: Record<string, unknown>) => void> = [
    claims => { claims.identity = 'admin' },
    claims => { claims.sub = 'admin' },
    claims => { claims.extra = true },
    claims => { delete claims.type },
    claims => { (claims.roles as string[]).push('admin') },
    claims => { (claims.roles as string[])[0] = 'admin' },
    claims => { (claims.profile as { address: { city: string } }).address.city = 'elsewhere' },
    claims => { (claims.profile as { tags: Array<{ name: string }> }).tags[0]!.name = 'changed' },
    claims => { Object.defineProperty(claims, 'identity', { value: 'admin' }) },
    claims => { Object.setPrototypeOf(claims, { role: 'admin' }) }
  ]
  app.get('/meddle', { preHandler: jwtRequired }, async request => {
    const claims = request.jwtClaims as Record<string, unknown>
    const header = request.jwtHeader as Record<string, unknown>
    for (const [index, change] of meddle.entries()) {
      t.throws(() => change(claims), TypeError, `change ${index} to the claims is refused`)
    }
    t.throws(() => { header.alg = 'none' }, TypeError, 'the header is frozen too')
    return seen(request)
  })
  app.get('/look', { preHandler: jwtRequired }, async request => attached(request))
  const token = app.jwt.createAccessToken('user123', {
    claims: { roles: ['reader'], profile: { address: { city: 'here' }, tags: [{ name: 'first' }] } }
  })
  const headers = bearer(token)
  const first = await app.inject({ url: '/look', headers })
  t.equal((await app.inject({ url: '/meddle', headers })).statusCode, 200)
  const second = await app.inject({ url: '/look', headers })
  t.strictSame(second.json(), first.json())
  t.equal(second.json<{ jwtIdentity: string }>().jwtIdentity, 'user123')
  t.strictSame(second.json<{ jwtClaims: { roles: string[] } }>().jwtClaims.roles, ['reader'])
})

t.test('the claims of decodeToken cannot be used to change what a request sees', async t => {
  const app = await protectedApp(t)
  const token = app.jwt.createAccessToken('user123', { claims: { roles: ['reader'] } })
  const decoded = app.jwt.decodeToken(token) as Record<string, unknown>
  t.throws(() => { (decoded.roles as string[]).push('admin') }, TypeError)
  t.throws(() => { decoded.identity = 'admin' }, TypeError)
  const response = await app.inject({ url: '/required', headers: bearer(token) })
  t.match(response.json(), { identity: 'user123', claims: { roles: ['reader'] } })
})

t.test('a change to the claims object after createAccessToken changes nothing', async t => {
  const app = await protectedApp(t)
  const own = { roles: ['reader'] }
  const token = app.jwt.createAccessToken('user123', { claims: own })
  own.roles.push('admin')
  t.strictSame(app.jwt.decodeToken(token).roles, ['reader'])
  t.notOk(Object.isFrozen(own), 'nor is what the app passed frozen')
})

t.test('requests at the same time see their own identity', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.get('/', { preHandler: jwtRequired }, async request => {
    await new Promise(resolve => setImmediate(resolve))
    return seen(request)
  })
  await app.ready()
  const responses = await Promise.all(Array.from({ length: 50 }, (_, index) =>
    app.inject({ url: '/', headers: bearer(app.jwt.createAccessToken(`user${index}`)) })))
  t.strictSame(responses.map(response => response.json<{ identity: string }>().identity),
    Array.from({ length: 50 }, (_, index) => `user${index}`))
})

t.test('hooks work with @fastify/auth', async t => {
  const { default: auth } = await import('@fastify/auth')
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  await app.register(auth)
  await app.register(async context => {
    context.get('/', {
      preHandler: context.auth([context.freshJwtRequired, refreshTokenRequired], { relation: 'or' })
    }, async request => seen(request))
  })
  await app.ready()
  await passes(t, app, { url: '/', headers: bearer(app.jwt.createAccessToken('user123', { fresh: true })) }, 'user123', 'first')
  await passes(t, app, { url: '/', headers: bearer(app.jwt.createRefreshToken('user123')) }, 'user123', 'second')
  await refused(t, app, { url: '/', headers: bearer(app.jwt.createAccessToken('user123')) }, refusals.refreshRequired, 'neither')
})

t.test('a hook or guard that is called where it is named stops at once, and says how it is written', async t => {
  const call = (hook: unknown) => { (hook as () => void)() }
  t.throws(() => { call(jwtRequired) }, { name: 'TypeError', message: /write preHandler: jwtRequired/ })
  t.throws(() => { call(verifyJwt()) }, { name: 'TypeError', message: /await request\.verifyJwt\(\)/ })
  t.throws(() => { call(crossOriginProtection) }, { name: 'TypeError', message: /write preHandler: crossOriginProtection/ })
  t.throws(() => { call(role('admin')) }, { name: 'TypeError', message: /write preHandler: role\('admin'\)/ })
})

t.test('the plugin that is called where it is named stops at once, and says how it is registered', async t => {
  for (const given of [{ secretKey }, undefined]) {
    t.throws(() => { (jwt as unknown as (options: unknown) => void)(given) }, { name: 'TypeError', message: /await app\.register\(jwt, \{ … \}\)/ })
  }
})
