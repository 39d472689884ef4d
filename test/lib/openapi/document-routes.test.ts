import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import jwt, {
  allOf, anyOf, freshJwtRequired, guard, jwtOptional, jwtRequired, not, permission, refreshTokenRequired, role, scope, verifyJwt
} from '../../../lib/index.ts'
import { readPrintedHooks } from '../../../lib/printed-hooks.ts'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import type { SwaggerOptions } from '@fastify/swagger'
import type { JwtExtendedOptions } from '../../../lib/index.ts'

const secretKey = 'a secret of at least thirty-two bytes'

interface Operation { security?: Record<string, string[]>[], responses: Record<string, { description: string }>, 'x-jwt'?: object }
interface Document {
  openapi: string
  components: { securitySchemes?: Record<string, { type: string, in?: string, name?: string }>, schemas?: object }
  paths: Record<string, Record<string, Operation>>
}

const documentOf = (app: FastifyInstance) => app.swagger() as unknown as Document
const specOf = (app: FastifyInstance) => structuredClone(app.swagger()) as unknown as Record<string, unknown>
const openapi = (version: string, extra: object = {}): SwaggerOptions => ({ openapi: { openapi: version, info: { title: 'test', version: '1' }, ...extra } })

async function build (options: JwtExtendedOptions, documented: SwaggerOptions, declare: FastifyPluginAsync): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(swagger, documented)
  await app.register(jwt, { secretKey, ...options })
  await app.register(declare)
  await app.ready()
  return app
}

const ok = async () => ({ ok: true })
const everything: FastifyPluginAsync = async app => {
  app.get('/open', ok)
  app.get('/required', { preHandler: jwtRequired }, ok)
  app.post('/required', { preHandler: [jwtRequired] }, ok)
  app.get('/optional', { preHandler: jwtOptional }, ok)
  app.get('/strict', { preHandler: verifyJwt({ optional: 'strict' }) }, ok)
  app.get('/fresh', { preValidation: freshJwtRequired }, ok)
  app.post('/refresh', { preHandler: refreshTokenRequired }, ok)
  app.get('/any', { preHandler: verifyJwt({ type: 'any' }) }, ok)
  app.get('/header', { preHandler: verifyJwt({ locations: 'headers' }) }, ok)
  app.get('/admin', { preHandler: [jwtRequired, role('admin')] }, ok)
  app.get('/optional-admin', { preValidation: jwtOptional, preHandler: role('admin') }, ok)
  app.get('/edit/:id', { preHandler: [jwtRequired, anyOf(role('admin'), allOf(role('editor'), permission('write')))] }, ok)
  app.get('/scopes', { preHandler: [jwtRequired, scope(['read', 'write'], { match: 'all' })] }, ok)
  app.get('/either', { preHandler: [jwtRequired, scope('read', 'write')] }, ok)
  app.get('/custom', { preHandler: [jwtRequired, not(role('suspended')), guard(() => true)] }, ok)
  app.get('/admin-or-fresh', { preHandler: anyOf(freshJwtRequired, allOf(jwtRequired, role('admin'))) }, ok)
}

/** What a request with a token, sent as an alternative of the document says, is answered. */
async function tryAlternative (app: FastifyInstance, document: Document, method: string, url: string, alternative: Record<string, string[]>, token: string): Promise<number> {
  const headers: Record<string, string> = {}
  const query: Record<string, string> = {}
  for (const name of Object.keys(alternative)) {
    const scheme = document.components.securitySchemes?.[name]
    if (scheme?.type === 'http') headers['authorization'] = `Bearer ${token}`
    else if (scheme?.in === 'cookie') headers['cookie'] = `${scheme.name}=${token}`
    else if (scheme?.in === 'query') query[scheme.name as string] = token
    else if (scheme?.in === 'header') headers[scheme.name as string] = app.jwt.getCsrfToken(token) ?? token
  }
  return (await app.inject({ method: method.toUpperCase() as 'GET', url, headers, query })).statusCode
}

const variants: [string, JwtExtendedOptions][] = [
  ['headers', {}],
  ['headers and cookies', { tokenLocation: ['headers', 'cookies'] }],
  ['headers, cookies and query', { tokenLocation: ['headers', 'cookies', 'queryString'], csrfProtection: 'double-submit' }],
  ['a header of its own', { headerName: 'X-Token', headerType: '' }]
]

for (const version of ['3.0.3', '3.1.0']) {
  for (const [name, options] of variants) {
    t.test(`the document of ${version} with ${name} is valid, and says what a request gets`, async t => {
      const app = await build(options, openapi(version), everything)
      const document = documentOf(app)
      const { valid, errors } = await new Validator().validate(specOf(app))
      t.ok(valid, JSON.stringify(errors))
      const yaml = new Validator()
      const checked = await yaml.validate(app.swagger({ yaml: true }))
      t.ok(checked.valid, 'the YAML is valid')
      t.same(yaml.specification, JSON.parse(JSON.stringify(document)), 'and says the same')

      for (const [path, item] of Object.entries(document.paths)) {
        for (const [method, operation] of Object.entries(item)) {
          const url = path.replace('{id}', '1')
          const route = `${method} ${path}`
          const { security = [{}], responses } = operation
          const anonymous = await app.inject({ method: method.toUpperCase() as 'GET', url })
          const open = security.some(alternative => Object.keys(alternative).length === 0)
          t.equal(anonymous.statusCode, open ? 200 : 401, `${route} with no token`)
          const garbage = await app.inject({ method: method.toUpperCase() as 'GET', url, headers: { authorization: 'Bearer x', 'x-token': 'x' } })
          t.equal(garbage.statusCode === 401, responses['401'] !== undefined, `${route} with a wrong token`)

          for (const alternative of security.filter(entry => Object.keys(entry).length > 0)) {
            const names = Object.values(alternative).flat()
            const claims = version === '3.0.3' && operation['x-jwt'] !== undefined
              ? { roles: ['admin', 'editor'], permissions: 'write', scope: 'read write' }
              : { roles: names, permissions: names, scope: names.join(' ') }
            const refresh = Object.keys(alternative).some(scheme => scheme.startsWith('refresh'))
            const token = refresh ? app.jwt.createRefreshToken('user', { claims }) : app.jwt.createAccessToken('user', { claims, fresh: true })
            t.equal(await tryAlternative(app, document, method, url, alternative, token), 200, `${route} as ${JSON.stringify(alternative)}`)
            const wrong = refresh ? app.jwt.createAccessToken('user', { claims }) : app.jwt.createRefreshToken('user', { claims })
            if (path !== '/any') t.equal(await tryAlternative(app, document, method, url, alternative, wrong), path === '/optional' ? 200 : 401, `${route} with the other type`)
            if (names.length > 0) {
              const poor = await tryAlternative(app, document, method, url, alternative, app.jwt.createAccessToken('user'))
              t.ok([401, 403].includes(poor) && responses['403'] !== undefined, `${route} without ${names.join()}`)
            }
          }
        }
      }
    })
  }
}

t.test('roles and scopes appear, as far as the version of OpenAPI has words for them', async t => {
  const read = async (version: string) => {
    const { paths } = documentOf(await build({}, openapi(version), everything))
    return (path: string) => paths[path]?.['get'] as Operation
  }
  const newer = await read('3.1.0')
  t.same(newer('/open').security, undefined)
  t.same(newer('/open').responses, { 200: { description: 'Default Response' } })
  t.same(newer('/required').security, [{ bearerAuth: [] }])
  t.same(newer('/optional').security, [{ bearerAuth: [] }, {}])
  t.same(Object.keys(newer('/optional').responses), ['200'])
  t.same(newer('/strict').security, [{ bearerAuth: [] }, {}])
  t.same(Object.keys(newer('/strict').responses), ['200', '401', '403'])
  t.same(newer('/admin').security, [{ bearerAuth: ['admin'] }])
  t.same(newer('/optional-admin').security, [{ bearerAuth: ['admin'] }], 'a guard makes it required')
  t.same(newer('/edit/{id}').security, [{ bearerAuth: ['admin'] }, { bearerAuth: ['editor', 'write'] }])
  t.same(newer('/scopes').security, [{ bearerAuth: ['read', 'write'] }])
  t.same(newer('/either').security, [{ bearerAuth: ['read'] }, { bearerAuth: ['write'] }])
  t.same(newer('/custom').security, [{ bearerAuth: [] }])
  t.same(newer('/any').security, [{ bearerAuth: [] }, { refreshBearerAuth: [] }])
  t.same(newer('/edit/{id}')['x-jwt'], { token: 'access', requires: 'role: admin or (role: editor and permission: write)' })
  t.same(newer('/fresh')['x-jwt'], { token: 'access', fresh: true })
  t.same(newer('/optional')['x-jwt'], { token: 'access', optional: true })
  t.equal(newer('/admin').responses['403']?.description, 'Needs role: admin')
  t.equal(newer('/required').responses['403']?.description, 'The token does not allow this')
  t.equal(newer('/fresh').responses['401']?.description, 'Needs a fresh access token: there was none, or it was refused')
  t.equal(newer('/any').responses['401']?.description, 'Needs an access or refresh token: there was none, or it was refused')
  t.equal(newer('/custom').responses['403']?.description, 'Needs not (role: suspended) and a check of the application')
  t.equal(newer('/admin-or-fresh').responses['403']?.description, 'Needs a fresh access token or (an access token and role: admin)')

  const older = await read('3.0.3')
  t.same(older('/edit/{id}').security, [{ bearerAuth: [] }])
  t.same(older('/edit/{id}')['x-jwt'], { token: 'access', requires: 'role: admin or (role: editor and permission: write)' })
})

t.test('the schemes come from the options', async t => {
  const schemes = async (options: JwtExtendedOptions) => documentOf(await build(options, openapi('3.1.0'), everything)).components.securitySchemes
  t.same(await schemes({ headerType: 'JWT' }), {
    bearerAuth: { type: 'http', scheme: 'jwt', bearerFormat: 'JWT' },
    refreshBearerAuth: { description: 'The refresh token', type: 'http', scheme: 'jwt', bearerFormat: 'JWT' }
  })
  t.match(await schemes({ headerName: 'X-Token', headerType: 'Token' }), {
    headerAuth: { type: 'apiKey', in: 'header', name: 'x-token', description: 'Token, a space, and the token' }
  })
  t.match(await schemes({ tokenLocation: ['queryString', 'json'], queryStringName: 't', queryStringValuePrefix: 'v1.' }), {
    queryAuth: { type: 'apiKey', in: 'query', name: 't', description: 'v1. and the token' }
  })
  const cookies = documentOf(await build({ tokenLocation: 'cookies', accessCookieName: 'a', refreshCookieName: 'r', csrfProtection: 'double-submit' }, openapi('3.1.0'), async app => {
    app.route({ method: ['GET', 'POST'], url: '/', preHandler: jwtRequired, handler: ok })
    app.post('/refresh', { preHandler: refreshTokenRequired }, ok)
  }))
  t.match(cookies.components.securitySchemes, { cookieAuth: { in: 'cookie', name: 'a' }, refreshCookieAuth: { in: 'cookie', name: 'r' }, csrfHeader: { in: 'header', name: 'x-csrf-token' } })
  t.same(cookies.paths['/']?.['get']?.security, [{ cookieAuth: [] }])
  t.same(cookies.paths['/']?.['post']?.security, [{ cookieAuth: [], csrfHeader: [] }])
  t.same(cookies.paths['/refresh']?.['post']?.security, [{ refreshCookieAuth: [], refreshCsrfHeader: [] }])

  const body = documentOf(await build({ tokenLocation: 'json' }, openapi('3.1.0'), async app => { app.post('/', { preHandler: jwtRequired }, ok) }))
  t.equal(body.paths['/']?.['post']?.security, undefined, 'OpenAPI has no scheme for a token in the body')
  t.ok(body.paths['/']?.['post']?.responses['401'])
})

t.test('protect, config.jwt and the hooks of an instance are documented', async t => {
  const app = await build({ protect: true, skipPaths: ['/login'] }, openapi('3.1.0'), async app => {
    app.get('/login', ok)
    app.get('/me', ok)
    app.get('/open', { config: { jwt: false } }, ok)
    app.get('/maybe', { config: { jwt: { optional: true } } }, ok)
    app.post('/refresh', { preHandler: refreshTokenRequired }, ok)
    await app.register(async admin => {
      admin.addHook('preHandler', role('admin'))
      admin.get('/', ok)
    }, { prefix: '/admin' })
  })
  const { paths } = documentOf(app)
  t.equal(paths['/login']?.['get']?.security, undefined)
  t.equal(paths['/open']?.['get']?.security, undefined)
  t.same(paths['/me']?.['get']?.security, [{ bearerAuth: [] }])
  t.same(paths['/maybe']?.['get']?.security, [{ bearerAuth: [] }, {}])
  t.same(paths['/refresh']?.['post']?.security, [{ refreshBearerAuth: [] }])
  t.same(paths['/admin/']?.['get']?.security, [{ bearerAuth: ['admin'] }])

  const unprotected = await build({}, openapi('3.1.0'), async app => {
    app.get('/before', ok)
    app.addHook('onRequest', jwtRequired)
    app.get('/after', ok)
  })
  t.same(documentOf(unprotected).paths['/before']?.['get']?.security, [{ bearerAuth: [] }])
  t.same(documentOf(unprotected).paths['/after']?.['get']?.security, [{ bearerAuth: [] }])
})

t.test('what a schema says itself stays', async t => {
  const app = await build({}, openapi('3.1.0', { components: { securitySchemes: { key: { type: 'apiKey', in: 'header', name: 'x-key' }, bearerAuth: { type: 'apiKey', in: 'header', name: 'x-bearer' } } } }), async app => {
    app.get('/own', { preHandler: jwtRequired, schema: { security: [{ key: [] }], response: { 401: { type: 'null', description: 'own words' } } } }, ok)
    app.get('/range', { preHandler: jwtRequired, schema: { response: { '4xx': { type: 'null', description: 'any' } } } }, ok)
  })
  const { paths, components } = documentOf(app)
  t.same(paths['/own']?.['get']?.security, [{ key: [] }])
  t.equal(paths['/own']?.['get']?.responses['401']?.description, 'own words')
  t.ok(paths['/own']?.['get']?.responses['403'])
  t.same(Object.keys(paths['/range']?.['get']?.responses ?? {}), ['4XX'])
  t.same(paths['/range']?.['get']?.security, [{ bearerAuth2: [] }], 'a name that is taken is left alone')
  t.same(Object.keys(components.securitySchemes ?? {}), ['bearerAuth2', 'key', 'bearerAuth'])
})

t.test('schemes the document declares for the same place are used', async t => {
  const using = async (securitySchemes: object, options: JwtExtendedOptions = {}) => {
    const app = await build(options, openapi('3.0.3', { components: { securitySchemes } }), async app => {
      app.get('/', { preHandler: [jwtRequired, scope('read'), role('admin')] }, ok)
    })
    const { paths, components } = documentOf(app)
    t.ok((await new Validator().validate(specOf(app))).valid)
    t.same(components.securitySchemes, securitySchemes)
    return paths['/']?.['get']?.security
  }
  const flows = { password: { tokenUrl: '/token', scopes: { read: 'Read' } } }
  t.same(await using({ oauth: { type: 'oauth2', flows } }), [{ oauth: ['read'] }])
  t.same(await using({ oidc: { type: 'openIdConnect', openIdConnectUrl: 'https://example.com/.well-known/openid-configuration' } }), [{ oidc: ['read'] }])
  t.same(await using({ mine: { type: 'http', scheme: 'Bearer' } }), [{ mine: [] }])
  t.same(await using({ mine: { type: 'apiKey', in: 'cookie', name: 'access_token_cookie' } }, { tokenLocation: 'cookies' }), [{ mine: [] }])
})

t.test('a scheme for another place is not used', async t => {
  const own = { oauth: { type: 'oauth2', flows: {} }, mine: { type: 'http', scheme: 'basic' } }
  const app = await build({ headerType: 'JWT' }, openapi('3.1.0', { components: { securitySchemes: own } }), async app => {
    app.get('/', { preHandler: jwtRequired }, ok)
  })
  t.same(documentOf(app).paths['/']?.['get']?.security, [{ bearerAuth: [] }])
  const places = {
    oauth: { type: 'oauth2', flows: {} },
    query: { type: 'apiKey', in: 'query', name: 'access_token_cookie' },
    cookie: { type: 'apiKey', in: 'cookie', name: 'other' }
  }
  const cookies = await build({ tokenLocation: 'cookies' }, openapi('3.1.0', { components: { securitySchemes: places } }), async app => {
    app.get('/', { preHandler: jwtRequired }, ok)
    app.post('/refresh', { preHandler: refreshTokenRequired }, ok)
  })
  t.same(documentOf(cookies).paths['/']?.['get']?.security, [{ cookieAuth: [] }])
  t.same(documentOf(cookies).paths['/refresh']?.['post']?.security, [{ refreshCookieAuth: [] }])
})

t.test('registrations with other options have schemes of their own', async t => {
  const app = Fastify()
  await app.register(swagger, openapi('3.1.0'))
  await app.register(jwt, { secretKey, tokenLocation: 'cookies' })
  app.get('/user', { preHandler: jwtRequired }, ok)
  await app.register(async admin => {
    await admin.register(jwt, { secretKey, tokenLocation: 'cookies', accessCookieName: 'admin' })
    admin.get('/admin', { preHandler: jwtRequired }, ok)
  })
  await app.ready()
  const { paths, components } = documentOf(app)
  t.same(paths['/user']?.['get']?.security, [{ cookieAuth: [] }])
  t.same(paths['/admin']?.['get']?.security, [{ cookieAuth2: [] }])
  t.match(components.securitySchemes, { cookieAuth: { name: 'access_token_cookie' }, cookieAuth2: { name: 'admin' } })
})

t.test('swagger may be registered before, after, or within', async t => {
  const route: FastifyPluginAsync = async app => { app.get('/', { preHandler: jwtRequired }, ok) }
  const orders: [string, FastifyPluginAsync][] = [
    ['before', async app => { await app.register(swagger, openapi('3.1.0')); await app.register(jwt, { secretKey }); await app.register(route) }],
    ['after', async app => { await app.register(jwt, { secretKey }); await app.register(swagger, openapi('3.1.0')); await app.register(route) }],
    ['without waiting', async app => { app.register(jwt, { secretKey }); app.register(swagger, openapi('3.1.0')); app.register(route) }]
  ]
  for (const [name, order] of orders) {
    for (const nested of [false, true]) {
      const app = Fastify()
      let inner = app as FastifyInstance
      if (nested) await app.register(async child => { inner = child; await order(child, {}) })
      else await order(app, {})
      await app.ready()
      t.same(documentOf(inner).paths['/']?.['get']?.security, [{ bearerAuth: [] }], `${name}${nested ? ', nested' : ''}`)
      t.equal(inner.swagger(), inner.swagger(), 'one document')
      t.equal(inner.swagger({ yaml: true }), inner.swagger({ yaml: true }))
    }
  }
})

t.test('a transform of the app sees the schemas it knows, and the result is annotated', async t => {
  const seen: unknown[] = []
  const app = Fastify()
  await app.register(swagger, {
    ...openapi('3.1.0'),
    transform ({ schema, url }) {
      seen.push(schema?.response)
      return { schema, url: `/v1${url}` }
    },
    transformObject: document => 'openapiObject' in document ? { ...document.openapiObject, 'x-mine': true } : {}
  } as SwaggerOptions)
  await app.register(jwt, { secretKey })
  app.get('/', { preHandler: jwtRequired, schema: { response: { 200: { type: 'object', properties: { ok: { type: 'boolean' } } } } } }, ok)
  await app.ready()
  const document = documentOf(app)
  t.same(document.paths['/v1/']?.['get']?.security, [{ bearerAuth: [] }])
  t.match(document, { 'x-mine': true })
  t.same(seen, [{ 200: { type: 'object', properties: { ok: { type: 'boolean' } } } }])
})

t.test('an operation that a transform has emptied is annotated', async t => {
  const app = Fastify()
  await app.register(swagger, {
    ...openapi('3.1.0'),
    transformObject: document => 'openapiObject' in document
      ? { ...document.openapiObject, components: undefined, paths: { '/': { summary: 'a path', post: undefined, get: { ...document.openapiObject.paths?.['/']?.['get'], responses: undefined } } } }
      : {}
  } as SwaggerOptions)
  await app.register(jwt, { secretKey })
  app.get('/', { preHandler: jwtRequired }, ok)
  await app.ready()
  const document = documentOf(app)
  t.same(Object.keys(document.paths['/']?.['get']?.responses ?? {}), ['401', '403'])
  t.match(document, { paths: { '/': { summary: 'a path' } }, components: { securitySchemes: { bearerAuth: { type: 'http' } } } })
})

t.test('a documented HEAD route says what its GET route says', async t => {
  const app = Fastify()
  await app.register(swagger, { ...openapi('3.1.0'), exposeHeadRoutes: true } as SwaggerOptions)
  await app.register(jwt, { secretKey })
  app.get('/named', { preHandler: jwtRequired, schema: { operationId: 'named' } }, ok)
  app.get('/plain', { preHandler: jwtRequired }, ok)
  app.head('/own', { schema: { operationId: 'own' } }, ok)
  app.get('/own', { preHandler: jwtRequired, exposeHeadRoute: false, schema: { operationId: 'get' } }, ok)
  await app.ready()
  const { paths } = documentOf(app)
  t.same(paths['/named']?.['head']?.security, [{ bearerAuth: [] }])
  t.same(paths['/plain']?.['head']?.security, [{ bearerAuth: [] }])
  t.equal(paths['/own']?.['head']?.security, undefined)
})

t.test('replies are serialised as without a document', async t => {
  const answers = []
  for (const documented of [true, false]) {
    const app = Fastify()
    if (documented) await app.register(swagger, openapi('3.1.0'))
    await app.register(jwt, { secretKey })
    app.setErrorHandler((error, _request, reply) => reply.code(401).send({ mine: (error as Error).message, extra: { deep: [1] } }))
    app.get('/none', { preHandler: jwtRequired }, ok)
    app.get('/schema', { preHandler: jwtRequired, schema: { response: { 200: { type: 'object', properties: { ok: { type: 'boolean' } } } } } }, async () => ({ ok: true, hidden: 1 }))
    await app.ready()
    if (documented) t.ok(documentOf(app).paths['/none']?.['get']?.responses['401'])
    const headers = { authorization: `Bearer ${app.jwt.createAccessToken('user')}` }
    answers.push([(await app.inject('/none')).body, (await app.inject('/schema')).body, (await app.inject({ url: '/schema', headers })).body])
    t.notOk(app.hasRoute({ method: 'GET', url: '/documentation' }))
  }
  t.same(answers[0], answers[1])
  t.same(JSON.parse(answers[0]?.[0] ?? ''), { mine: 'Missing JWT token', extra: { deep: [1] } })
  t.same(answers[0]?.[2], '{"ok":true}')
})

t.test('documents that are not ours to write stay as they are', async t => {
  const twoPointZero = await build({}, { swagger: { info: { title: 'old', version: '1' } } }, async app => { app.get('/', { preHandler: jwtRequired }, ok) })
  t.match(twoPointZero.swagger(), { swagger: '2.0' })
  t.equal(documentOf(twoPointZero).paths['/']?.['get']?.security, undefined)
  t.type(twoPointZero.swagger({ yaml: true }), 'string')

  const nothing = await build({}, openapi('3.1.0'), async app => { app.get('/', ok) })
  t.equal(documentOf(nothing).components.securitySchemes, undefined)

  const fixed = await build({}, { mode: 'static', specification: { document: { openapi: '3.1.0', info: { title: 'fixed', version: '1' }, paths: { '/': { get: { responses: {} } } } } } }, async app => { app.get('/', { preHandler: jwtRequired }, ok) })
  t.same(documentOf(fixed).paths, { '/': { get: { responses: {} } } })

  for (const decorator of ['not a function', (options?: { yaml?: boolean }) => options?.yaml === true ? 'yaml' : null, () => ({ openapi: '3.1.0' })]) {
    const app = Fastify()
    app.decorate('swagger' as 'jwt', decorator as never)
    await app.register(jwt, { secretKey })
    app.get('/', { preHandler: jwtRequired }, ok)
    await app.ready()
    if (typeof decorator === 'function') t.same(app.swagger({ yaml: true }), decorator({ yaml: true }))
  }
})

t.test('docs/openapi.md shows what comes out', async t => {
  const app = await build({}, openapi('3.1.0'), async app => { app.get('/admin', { preHandler: [jwtRequired, role('admin')] }, ok) })
  const [, shown = ''] = /```json\n([\s\S]*?)```/.exec(readFileSync(new URL('../../../docs/openapi.md', import.meta.url), 'utf8')) ?? []
  t.same(documentOf(app).paths['/admin']?.['get'], JSON.parse(shown))
})

t.test('many ways in are said in words', async t => {
  const names = Array.from({ length: 5 }, (_, index) => `role${index}`)
  const app = await build({}, openapi('3.1.0'), async app => { app.get('/', { preHandler: [jwtRequired, role(names), permission(names)] }, ok) })
  const operation = documentOf(app).paths['/']?.['get']
  t.same(operation?.security, [{ bearerAuth: [] }])
  t.match(operation?.['x-jwt'], { requires: 'role: role0 or role1 or role2 or role3 or role4 and permission: role0 or role1 or role2 or role3 or role4' })
})

t.test('what Fastify prints of its routes is read: prefixes, parameters, wildcards, several methods, constraints, and hooks of others', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey })
  app.addHook('onRequest', async () => {})
  app.get('/', ok)
  app.register(async context => {
    context.addHook('onRequest', jwtRequired)
    context.addHook('preHandler', role('a (b) "c"'))
    context.route({ method: ['GET', 'POST'], url: '/:id(^\\d+)', preHandler: scope('read'), handler: ok })
    context.get('/:id/files/*', ok)
    context.get('/versions', { constraints: { version: '1.0.0' } }, ok)
    context.get('/', ok)
  }, { prefix: '/users' })
  await app.ready()
  const printed = readPrintedHooks(app.printRoutes({ includeHooks: true }))
  const kinds = (route: string) => printed.get(route)?.flat().map(asked => 'hook' in asked ? asked.hook.type : asked.guard.kind)
  t.same(kinds('GET /'), [])
  t.same(kinds('GET /users/:id(^\\d+)'), ['access', 'role', 'scope'])
  t.same(kinds('POST /users/:id(^\\d+)'), ['access', 'role', 'scope'])
  for (const route of ['GET /users/:id/files/*', 'GET /users/versions', 'HEAD /users/versions', 'GET /users', 'GET /users/']) t.same(kinds(route), ['access', 'role'], route)
  t.same([...readPrintedHooks('(empty tree)').values()].flat(2), [])
})

t.test('a route that is printed in another way is documented by its own hooks', async t => {
  const { paths } = documentOf(await build({}, openapi('3.1.0'), async app => {
    app.get('/items/:id?', { preHandler: [jwtRequired, async () => {}, role('admin')] }, ok)
  }))
  t.same(paths['/items/{id}?']?.['get']?.security, [{ bearerAuth: ['admin'] }])
})

t.test('@fastify/swagger-ui serves what has been added', async t => {
  const app = Fastify()
  await app.register(swagger, openapi('3.1.0'))
  await app.register(swaggerUi)
  await app.register(jwt, { secretKey })
  app.get('/true', { preHandler: jwtRequired, schema: { summary: 'yes: "no" # 1' } }, ok)
  await app.ready()
  const json = (await app.inject('/documentation/json')).json()
  t.same(json.paths['/true'].get.security, [{ bearerAuth: [] }])
  const validator = new Validator()
  t.ok((await validator.validate((await app.inject('/documentation/yaml')).body)).valid)
  t.same(validator.specification, json)
})

t.test('bound tokens have a scheme of their own, and a proof beside it', async t => {
  const documented = openapi('3.1.0')
  const securityOf = async (dpop: JwtExtendedOptions['dpop'], url: string, method = 'get'): Promise<[unknown, Document]> => {
    const app = await build({ dpop: dpop as 'allowed' }, documented, everything)
    t.teardown(() => app.close())
    const document = documentOf(app)
    t.equal((await new Validator().validate(specOf(app))).valid, true)
    return [document.paths[url]?.[method]?.security, document]
  }
  const [allowed, document] = await securityOf('allowed', '/admin')
  t.strictSame(allowed, [{ bearerAuth: ['admin'] }, { dpopAuth: ['admin'], dpopProof: [] }])
  t.match(document.components.securitySchemes, { dpopAuth: { type: 'http', scheme: 'dpop' }, dpopProof: { type: 'apiKey', in: 'header', name: 'DPoP' } })
  t.match(document.paths['/admin']?.['get']?.responses['401'], { headers: { 'WWW-Authenticate': { description: 'Challenge (RFC 6750 §3, RFC 9449 §7.1)' } } })
  t.strictSame((await securityOf('required', '/required'))[0], [{ dpopAuth: [], dpopProof: [] }])
  t.strictSame((await securityOf('required', '/refresh', 'post'))[0], [{ refreshDpopAuth: [], dpopProof: [] }])
  t.strictSame((await securityOf(false, '/required'))[0], [{ bearerAuth: [] }])
})
