// One app twice, on @fastify/jwt and on this package: what a client asks, both answer alike.
import t from 'tap'
import type { FastifyInstance } from 'fastify'

// By a URL, since their types for app.jwt would meet in one program.
const load = async (name: string) => await import(new URL(`../../../examples/from-fastify-jwt/${name}.ts`, import.meta.url).href) as
  { buildApp (secret: string, ticketSecret: string): Promise<FastifyInstance> }

const secrets = ['the secret of an app that moves, longer than 32 bytes', 'the secret of its links to files, longer than 32 bytes'] as const
const apps = new Map<string, FastifyInstance>()
for (const name of ['before', 'after']) {
  const app = await (await load(name)).buildApp(...secrets)
  t.teardown(() => app.close())
  apps.set(name, app)
}
const [before, after] = [...apps.values()] as [FastifyInstance, FastifyInstance]

const people = { ada: 'correct horse', bob: 'battery staple' }

async function login (app: FastifyInstance, name: keyof typeof people): Promise<string> {
  const response = await app.inject({ method: 'POST', url: '/login', payload: { name, password: people[name] } })
  return response.json().token
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

for (const [name, app] of apps) {
  t.test(`${name} the move: login, header or cookie, roles, links to files, a user who is blocked`, async t => {
    const wrong = await app.inject({ method: 'POST', url: '/login', payload: { name: 'ada', password: 'wrong' } })
    t.strictSame([wrong.statusCode, wrong.json()], [401, { message: 'Wrong name or password' }])
    const [ada, bob] = [await login(app, 'ada'), await login(app, 'bob')]
    const me = async (request: object) => (await app.inject({ url: '/me', ...request })).json()
    t.strictSame(await me({ headers: bearer(ada) }), { id: 7, role: 'admin' })
    t.strictSame(await me({ cookies: { token: bob } }), { id: 8, role: 'member' })
    t.equal((await me({})).statusCode, 401)

    const ticket: string = (await app.inject({ method: 'POST', url: '/files/plan/ticket', headers: bearer(bob) })).json().ticket
    const file = async (url: string, headers = bearer(bob)) => {
      const response = await app.inject({ url, headers })
      return [response.statusCode, response.json()]
    }
    t.strictSame(await file(`/files/plan?ticket=${ticket}`), [200, { file: 'plan', for: 8 }])
    t.equal((await file(`/files/another?ticket=${ticket}`))[0], 403)
    t.equal((await file(`/files/plan?ticket=${bob}`))[0], 401, 'a token of the other secret')

    const remove = (token: string) => app.inject({ method: 'DELETE', url: '/users/8', headers: bearer(token) })
    t.equal((await remove(bob)).statusCode, 403)
    t.strictSame((await remove(ada)).json(), { blocked: 8 })
    t.equal((await me({ headers: bearer(bob) })).statusCode, 401, 'blocked at once')

    const logout = await app.inject({ method: 'POST', url: '/logout', cookies: { token: ada } })
    t.match(String(logout.headers['set-cookie']), /\btoken=;/)
    t.equal((await app.inject({ url: '/me', headers: bearer(ada) })).statusCode, name === 'before' ? 200 : 401, 'since the move, the token is refused, too')
  })
}

t.test('a token of before the move passes after it, and the other way round', async t => {
  const old = await login(before, 'ada')
  t.strictSame((await after.inject({ url: '/me', headers: bearer(old) })).json(), { id: 7, role: 'admin' })
  const logout = await after.inject({ method: 'POST', url: '/logout', cookies: { token: old } })
  t.strictSame([logout.statusCode, logout.json()], [200, { loggedOut: true }])
  const token = await login(after, 'ada')
  t.strictSame((await before.inject({ url: '/me', headers: bearer(token) })).json(), { id: '7', role: 'admin' }, 'an id is text then')
})

t.test('after the move, a request of another site uses no cookie', async t => {
  const token = await login(after, 'ada')
  const response = await after.inject({ method: 'POST', url: '/files/plan/ticket', cookies: { token }, headers: { 'sec-fetch-site': 'cross-site' } })
  t.equal(response.json().code, 'FST_JWT_CSRF')
})
