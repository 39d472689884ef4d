import awsLambdaFastify from '@fastify/aws-lambda'
import middie from '@fastify/middie'
import multipart from '@fastify/multipart'
import { initTRPC, TRPCError } from '@trpc/server'
import { fastifyTRPCPlugin } from '@trpc/server/adapters/fastify'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import mercurius from 'mercurius'
import t from 'tap'
import type { Test } from 'tap'
import jwt, { jwtOptional, jwtRequired } from '../../../lib/index.ts'
import { bearer, secretKey } from '../../helpers/protected-app.ts'
import type { Options } from '../../helpers/protected-app.ts'

async function appOf (t: Test, options: Partial<Options> = {}): Promise<FastifyInstance> {
  const app = Fastify() as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, tokenLocation: ['headers', 'cookies'], ...options })
  return app
}

t.test('@fastify/aws-lambda: a login and a request with its cookies, as events of both versions', async t => {
  const app = await appOf(t)
  app.get('/login', async (_request, reply) => {
    app.jwt.setSessionCookies(reply, await app.jwt.createSession('user123'))
    return {}
  })
  app.get('/', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity, location: request.jwtLocation }))
  const handle = awsLambdaFastify(app) as (event: object, context: object) => Promise<{ statusCode: number, body: string, cookies?: string[], multiValueHeaders?: Record<string, string[]> }>
  const v1 = (path: string, headers: Record<string, string> = {}) => handle({ version: '1.0', httpMethod: 'GET', path, headers, requestContext: {} }, {})
  const v2 = (rawPath: string, cookies: string[] = [], headers: Record<string, string> = {}) =>
    handle({ version: '2.0', routeKey: '$default', rawPath, rawQueryString: '', cookies, headers, requestContext: { http: { method: 'GET', path: rawPath } } }, {})
  const pairs = (lines: string[] = []) => lines.map(line => line.split(';')[0] ?? '')

  const first = pairs((await v1('/login')).multiValueHeaders?.['set-cookie'])
  t.equal(first.length, 2)
  t.strictSame(JSON.parse((await v1('/', { cookie: first.join('; ') })).body), { user: 'user123', location: 'cookies' })
  t.equal((await v1('/')).statusCode, 401)

  const second = pairs((await v2('/login')).cookies)
  t.equal(second.length, 2)
  t.strictSame(JSON.parse((await v2('/', second)).body), { user: 'user123', location: 'cookies' })
  t.strictSame(JSON.parse((await v2('/', [], bearer(app.jwt.createAccessToken('user123')))).body), { user: 'user123', location: 'headers' })
  t.equal((await v2('/')).statusCode, 401)
})

t.test('mercurius: an optional hook tells a resolver who asks, and a required one refuses before GraphQL', async t => {
  const app = await appOf(t)
  await app.register(async context => {
    context.addHook('preHandler', jwtOptional)
    await context.register(mercurius, {
      schema: 'type Query { me: String }',
      resolvers: { Query: { me: async (_root, _args, { reply }) => reply.request.jwtIdentity } }
    })
  })
  await app.register(async context => {
    context.addHook('preHandler', jwtRequired)
    context.post('/strict', async () => app.graphql('{ __typename }'))
  })
  const ask = async (headers: Record<string, string>) => (await app.inject({ method: 'POST', url: '/graphql', headers, payload: { query: '{ me }' } })).json() as object
  t.strictSame(await ask(bearer(app.jwt.createAccessToken('user123'))), { data: { me: 'user123' } })
  t.strictSame(await ask({}), { data: { me: null } })
  t.equal((await app.inject({ method: 'POST', url: '/strict' })).statusCode, 401)
})

t.test('tRPC: request.verifyJwt in the context, and a procedure that requires an identity', async t => {
  const app = await appOf(t)
  const trpc = initTRPC.context<{ identity: string | null }>().create()
  const authenticated = trpc.procedure.use(({ ctx: { identity }, next }) => {
    if (identity === null) throw new TRPCError({ code: 'UNAUTHORIZED' })
    return next({ ctx: { identity } })
  })
  await app.register(fastifyTRPCPlugin, {
    prefix: '/trpc',
    trpcOptions: {
      router: trpc.router({ me: authenticated.query(({ ctx }) => ctx.identity) }),
      createContext: async ({ req }: { req: FastifyRequest }) => {
        await req.verifyJwt({ optional: true })
        return { identity: req.jwtIdentity }
      }
    }
  })
  const response = await app.inject({ url: '/trpc/me', headers: bearer(app.jwt.createAccessToken('user123')) })
  t.match(response.json(), { result: { data: 'user123' } })
  t.equal((await app.inject('/trpc/me')).statusCode, 401)
})

t.test('@fastify/multipart: a file is read by whoever has a token, and by nobody else', async t => {
  const app = await appOf(t)
  await app.register(multipart)
  app.post('/upload', { onRequest: jwtRequired }, async request => {
    const file = await request.file()
    return { user: request.jwtIdentity, bytes: (await file?.toBuffer())?.length }
  })
  const payload = '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n'
  const upload = (headers: Record<string, string>) => app.inject({ method: 'POST', url: '/upload', headers: { ...headers, 'content-type': 'multipart/form-data; boundary=x' }, payload })
  t.strictSame((await upload(bearer(app.jwt.createAccessToken('user123')))).json(), { user: 'user123', bytes: 5 })
  t.equal((await upload({})).statusCode, 401)
})

t.test('@fastify/middie: a middleware is no route, so that protect leaves it open; addHook before it shuts it', async t => {
  const withMiddleware = async (app: FastifyInstance) => {
    await app.register(middie)
    app.use('/files', (_request: unknown, response: { end: (text: string) => void }) => { response.end('from a middleware') })
    return app
  }
  const open = await withMiddleware(await appOf(t, { protect: true }))
  t.equal((await open.inject('/files/a')).body, 'from a middleware')

  const app = await appOf(t)
  app.addHook('onRequest', jwtRequired)
  const shut = await withMiddleware(app)
  t.equal((await shut.inject('/files/a')).statusCode, 401)
  t.equal((await shut.inject({ url: '/files/a', headers: bearer(app.jwt.createAccessToken('user123')) })).body, 'from a middleware')
})
