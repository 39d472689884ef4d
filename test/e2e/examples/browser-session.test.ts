import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { startExample, temporaryFolder } from '../../helpers/example-process.ts'
import { noPostgres, startPostgres } from '../../helpers/postgres-server.ts'
import { noRedis, startRedis } from '../../helpers/redis-server.ts'
import type { Test } from 'tap'

interface Answer {
  status: number
  code: string | undefined
  cacheControl: string | null
  body: Record<string, unknown>
}

/** Something that keeps cookies, and no browser. */
interface Client {
  request (method: string, path: string, body?: object): Promise<Answer>
  /** What it would send to a path. */
  cookies: Map<string, string>
}

function newClient (url: string): Client {
  const cookies = new Map<string, string>()
  return {
    cookies,
    async request (method, path, body) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const response = await fetch(url + path, {
        method,
        headers: { cookie, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        body: body === undefined ? null : JSON.stringify(body)
      })
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        if (value === '') cookies.delete(name)
        else cookies.set(name, value)
      }
      const text = await response.text()
      const answer = text.startsWith('{') ? JSON.parse(text) as Record<string, unknown> : {}
      return { status: response.status, code: answer['code'] as string | undefined, cacheControl: response.headers.get('cache-control'), body: answer }
    }
  }
}

const ada = { name: 'Ada', password: 'correct horse battery staple' }

/** From signing up to signing out everywhere, as the printed curl lines and the pages have it. */
async function useSite (t: Test, url: string): Promise<void> {
  const client = newClient(url)
  t.match(await client.request('POST', '/session/sign-up', ada), { status: 201, body: { name: 'ada' } })
  t.match(await newClient(url).request('POST', '/session/sign-up', { ...ada, name: 'ADA' }), { status: 409, code: 'NAME_TAKEN' })
  t.match(await client.request('GET', '/account'), { status: 200, cacheControl: 'no-store', body: { name: 'ada', fresh: true } })

  t.match(await client.request('POST', '/session/refresh'), { status: 204 })
  t.match(await client.request('POST', '/account/password', { password: 'a new and longer password' }), { status: 401, code: 'FST_JWT_FRESH_REQUIRED' })
  t.match(await client.request('POST', '/session/confirm', { password: 'wrong' }), { status: 401, code: 'WRONG_CREDENTIALS' })
  t.match(await client.request('POST', '/session/confirm', { password: ada.password }), { status: 204 })

  const other = newClient(url)
  t.match(await other.request('POST', '/session/sign-in', ada), { status: 200 })
  t.match(await client.request('POST', '/account/password', { password: 'short' }), { status: 400 })
  t.match(await client.request('POST', '/account/password', { password: 'a new and longer password' }), { status: 200, body: { signedOut: 1 } })
  t.match(await other.request('GET', '/account'), { status: 401, code: 'FST_JWT_REVOKED' })
  t.match(await other.request('POST', '/session/sign-in', ada), { status: 401, code: 'WRONG_CREDENTIALS' })
  t.match(await other.request('POST', '/session/sign-in', { name: 'nobody', password: 'whatever' }), { status: 401, code: 'WRONG_CREDENTIALS' })
  t.match(await other.request('POST', '/session/sign-in', { name: 'ada', password: 'a new and longer password' }), { status: 200 })

  const { devices } = (await client.request('GET', '/devices')).body as { devices: { id: string, current: boolean }[] }
  t.equal(devices.length, 2)
  const [elsewhere, here] = [devices.find(({ current }) => !current)?.id, devices.find(({ current }) => current)?.id]
  t.match(await client.request('DELETE', '/devices/no-such-session'), { status: 404, code: 'NO_SUCH_DEVICE' })
  t.match(await client.request('DELETE', `/devices/${elsewhere}`), { status: 204 })
  t.match(await other.request('POST', '/session/refresh'), { status: 401, code: 'FST_JWT_REVOKED' })
  t.match(await client.request('DELETE', `/devices/${here}`), { status: 204 })
  t.equal(client.cookies.size, 0, 'signing out the device in use clears its cookies')

  t.match(await client.request('POST', '/session/sign-in', { name: 'ada', password: 'a new and longer password' }), { status: 200 })
  t.match(await client.request('POST', '/session/sign-in', { name: 'ada', password: 'a new and longer password' }), { status: 200 })
  const again = (await client.request('GET', '/devices')).body as { devices: unknown[] }
  t.equal(again.devices.length, 1, 'who signs in twice in one browser has one session there')
  t.match(await client.request('DELETE', '/devices'), { status: 204 })
  t.match(await client.request('GET', '/account'), { status: 401, code: 'FST_JWT_MISSING_TOKEN' })
  t.match(await client.request('POST', '/session/sign-out'), { status: 204 }, 'signing out works for nobody, too')
}

t.test('on an SQLite file, the whole way, and over a restart', async t => {
  const env = { DATA_FOLDER: await temporaryFolder(t), ATTEMPTS_PER_MINUTE: '100' }
  const first = await startExample(t, 'browser-session/server', env)
  await useSite(t, first.url)
  t.match(first.output(), 'site.db')
  t.notOk(/eyJ[\w-]+\.eyJ/.test(first.output()))
  const [kept, ended] = [newClient(first.url), newClient(first.url)]
  for (const client of [kept, ended]) await client.request('POST', '/session/sign-in', { name: 'ada', password: 'a new and longer password' })
  const copied = new Map(ended.cookies)
  await ended.request('POST', '/session/sign-out')
  await first.stop()

  const second = await startExample(t, 'browser-session/server', env)
  const [again, stolen] = [newClient(second.url), newClient(second.url)]
  for (const [name, value] of kept.cookies) again.cookies.set(name, value)
  for (const [name, value] of copied) stolen.cookies.set(name, value)
  t.match(await again.request('GET', '/account'), { status: 200, body: { name: 'ada' } }, 'still signed in')
  t.match(await again.request('POST', '/session/refresh'), { status: 204 })
  t.match(await stolen.request('GET', '/account'), { status: 401, code: 'FST_JWT_REVOKED' }, 'and still signed out')
})

t.test('on Redis, the whole way, and over a restart', noRedis === false ? {} : { skip: noRedis }, async t => {
  const redis = await startRedis(t)
  const env = { REDIS_URL: redis.url, JWT_SECRET_KEY: 'a secret of thirty-two bytes or more', ATTEMPTS_PER_MINUTE: '100' }
  const first = await startExample(t, 'browser-session/server', env)
  await useSite(t, first.url)
  const client = newClient(first.url)
  await client.request('POST', '/session/sign-in', { name: 'ada', password: 'a new and longer password' })

  const second = await startExample(t, 'browser-session/server', env)
  const elsewhere = newClient(second.url)
  for (const [name, value] of client.cookies) elsewhere.cookies.set(name, value)
  t.match(await elsewhere.request('GET', '/account'), { status: 200, body: { name: 'ada' } }, 'another process knows the session')
  t.match(await elsewhere.request('POST', '/session/sign-out'), { status: 204 })
  t.match(await client.request('GET', '/account'), { status: 401, code: 'FST_JWT_REVOKED' }, 'and ends it for all')
  for (const key of await redis.keys()) t.match(key, /^browser-session:/)
})

t.test('on PostgreSQL, the whole way', { skip: noPostgres }, async t => {
  const { url: databaseUrl } = await startPostgres(t)
  const { url, output } = await startExample(t, 'browser-session/server', { DATABASE_URL: databaseUrl, JWT_SECRET_KEY: 'a secret of thirty-two bytes or more', ATTEMPTS_PER_MINUTE: '100' })
  await useSite(t, url)
  t.match(output(), 'kept in PostgreSQL')
})

t.test('passwords cannot be guessed at any speed', async t => {
  const { url } = await startExample(t, 'browser-session/server', { ATTEMPTS_PER_MINUTE: '3' })
  const client = newClient(url)
  const statuses: number[] = []
  for (let i = 0; i < 5; i++) statuses.push((await client.request('POST', '/session/sign-in', ada)).status)
  t.same(statuses, [401, 401, 401, 429, 429])
  t.match(await client.request('GET', '/account'), { status: 401 }, 'and nothing else is held up')
})

t.test('the pages are the same for everybody, and are stored by nobody', async t => {
  const { url } = await startExample(t, 'browser-session/server')
  for (const page of ['/', '/sign-up', '/profile']) {
    const response = await fetch(url + page)
    t.equal(response.status, 200)
    t.equal(response.headers.get('cache-control'), 'no-store')
    const policy = response.headers.get('content-security-policy') ?? ''
    t.match(policy, "default-src 'none'")
    t.notOk(/unsafe|\*/.test(policy), policy)
    const html = await response.text()
    t.notOk(/<script(?![^>]*src=)|<style|\sstyle=|\son\w+=/.test(html), `nothing inline in ${page}`)
  }
  t.equal((await fetch(`${url}/pico/pico.classless.jade.min.css`)).status, 200)
  t.equal((await fetch(`${url}/pico/pico.css`)).status, 404, 'of the package, only the file in use is served')
  t.equal((await fetch(`${url}/..%2fserver.ts`)).status, 404)
})

t.test('it stops, though a client has opened a connection and sent nothing', async t => {
  const { url, stop } = await startExample(t, 'browser-session/server')
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  await once(socket, 'connect')
  t.equal((await fetch(url)).status, 200, 'the server has seen the connection')
  const closed = once(socket.resume(), 'close')
  await stop()
  await closed
})

t.test('an environment that cannot work stops it, with the reason', async t => {
  await t.rejects(startExample(t, 'browser-session/server', { REDIS_URL: 'redis://127.0.0.1:1' }), { message: /JWT_SECRET_KEY must be set with REDIS_URL or DATABASE_URL/ })
  await t.rejects(startExample(t, 'browser-session/server', { ACCESS_EXPIRES: 'soon' }), { message: /ACCESS_EXPIRES takes a whole number, and not 'soon'/ })
})
