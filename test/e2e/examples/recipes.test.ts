import { once } from 'node:events'
import t from 'tap'
import { WebSocket } from 'ws'
import { MobileClient } from '../../../examples/recipes/mobile-client.ts'
import { startExample, temporaryFolder } from '../../helpers/example-process.ts'
import type { Keychain } from '../../../examples/recipes/mobile-client.ts'

const secret = { JWT_SECRET_KEY: 'a secret for the recipes, longer than the 32 bytes it must be' }
const shared = { ...secret, DATA_FOLDER: await temporaryFolder(t) }

/** Each program once, all at the same time: a start takes longer than all that is asked of it. */
const [passwordChange, deviceLimit, renderedPage, mobileApp, socketsOne, socketsTwo, graphql] = await Promise.all([
  startExample(t, 'recipes/password-change', { ...secret, ADAS_PASSWORD: 'correct horse battery' }),
  startExample(t, 'recipes/device-limit', secret),
  startExample(t, 'recipes/rendered-page', { ...secret, API_PORT: '0' }),
  startExample(t, 'recipes/mobile-app', secret),
  startExample(t, 'recipes/closing-sockets', shared),
  startExample(t, 'recipes/closing-sockets', shared),
  startExample(t, 'recipes/graphql', secret)
])

interface Answer { status: number, body: any, cookie: string }

async function call (url: string, body?: object, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(url, body === undefined
    ? { headers }
    : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } })
  const text = await response.text()
  return {
    status: response.status,
    body: response.headers.get('content-type')?.startsWith('application/json') === true ? JSON.parse(text) : text,
    cookie: response.headers.getSetCookie().map(line => line.slice(0, line.indexOf(';'))).join('; ')
  }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

t.test('a new password ends every other login, and not this one', async t => {
  const { url } = passwordChange
  const login = (password: string) => call(`${url}/login`, { name: 'ada', password })
  const [here, elsewhere] = await Promise.all([login('correct horse battery'), login('correct horse battery')])
  const change = await call(`${url}/password`, { password: 'battery staple correct' }, bearer(here.body.accessToken))
  t.strictSame([change.status, change.body], [200, { ended: 1 }])
  t.equal((await call(`${url}/me`, undefined, bearer(elsewhere.body.accessToken))).body.code, 'FST_JWT_REVOKED')
  t.strictSame((await call(`${url}/me`, undefined, bearer(here.body.accessToken))).body, { name: 'ada' })
  t.equal((await login('correct horse battery')).status, 401)
  t.equal((await login('battery staple correct')).status, 200)
})

t.test('on a fourth device the user chooses which one to log out', async t => {
  const { url } = deviceLimit
  const login = (device: string, logOut?: string) => call(`${url}/login`, { username: 'ada', device, logOut })
  const [phone] = [await login('phone'), await login('tablet'), await login('laptop')]
  const refused = await login('tv')
  t.equal(refused.status, 409)
  const devices = refused.body.devices as Array<{ id: string, device: string }>
  t.strictSame(devices.map(({ device }) => device), ['laptop', 'tablet', 'phone'])

  const bobs = await call(`${url}/login`, { username: 'bob', device: 'phone' })
  t.equal((await call(`${url}/login`, { username: 'bob', device: 'tv', logOut: devices[2]?.id })).status, 404, "another user's device")
  t.equal((await login('tv', devices[2]?.id)).status, 200)
  t.equal((await call(`${url}/me`, undefined, bearer(phone.body.accessToken))).body.code, 'FST_JWT_REVOKED')
  t.equal((await call(`${url}/me`, undefined, bearer(bobs.body.accessToken))).status, 200)
  t.equal((await login('watch')).status, 409, 'there are three again')
})

t.test('a page rendered on a server shows who is signed in, and hands a refresh on to the browser', async t => {
  const [pages, api] = /Pages on (\S+) , API on (\S+)/.exec(renderedPage.output())?.slice(1) as [string, string]
  t.match((await call(`${pages}/`)).body, 'You are not signed in')
  const { cookie } = await call(`${api}/login`, { username: 'ada <b>' })
  t.match((await call(`${pages}/`, undefined, { cookie })).body, 'Hello, ada &#60;b&#62;.')

  const [access = '', refresh = ''] = cookie.split('; ')
  const later = await call(`${pages}/`, undefined, { cookie: refresh })
  t.match(later.body, 'Hello, ada &#60;b&#62;.', 'the access cookie was gone')
  t.match(later.cookie, /^access_token_cookie=.+; refresh_token_cookie=.+$/, 'the browser gets the new ones')
  t.match((await call(`${pages}/`, undefined, { cookie: later.cookie })).body, 'Hello')

  // Headers of the visitor that would mean something else in a request of the page server.
  const forged = { authorization: `Bearer ${access.slice(access.indexOf('=') + 1)}`, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'x-forwarded-host': 'evil.example' }
  t.match((await call(`${pages}/`, undefined, forged)).body, 'You are not signed in')
  t.match((await call(`${pages}/`, undefined, { ...forged, cookie: refresh })).body, 'Hello')

  t.equal((await call(`${api}/logout`, {}, { cookie: later.cookie, origin: 'https://evil.example' })).status, 403)
  t.equal((await call(`${api}/logout`, {}, { cookie: later.cookie, origin: pages })).status, 200, 'the page itself may')
  t.match((await call(`${pages}/`, undefined, { cookie: later.cookie })).body, 'You are not signed in')
})

class MemoryKeychain implements Keychain {
  value: string | null = null
  async read (): Promise<string | null> { return this.value }
  async write (refreshToken: string): Promise<void> { this.value = refreshToken }
  async clear (): Promise<void> { this.value = null }
}

t.test('a mobile app goes on after it was closed, refreshes once, and survives a lost answer', async t => {
  const { url } = mobileApp
  const keychain = new MemoryKeychain()
  const client = new MobileClient(url, keychain)
  await client.logIn('ada', 'phone')
  t.strictSame(await (await client.request('/me')).json(), { name: 'ada' })

  const first = keychain.value
  const reopened = new MobileClient(url, keychain)
  const answers = await Promise.all([1, 2, 3].map(() => reopened.request('/me')))
  t.strictSame(answers.map(({ status }) => status), [200, 200, 200], 'three requests, with no access token in memory')
  t.not(keychain.value, first)

  const before = keychain.value
  await call(`${url}/refresh`, { refresh_token: before })
  t.equal((await new MobileClient(url, keychain).request('/me')).status, 200, 'the answer to a refresh was lost')
  t.not(keychain.value, before)

  const phone = new MobileClient(url, keychain)
  t.equal((await phone.request('/me')).status, 200)
  await phone.logOut()
  t.equal(keychain.value, null)
  t.equal((await phone.request('/me')).status, 401)
})

t.test('a mobile app that an old refresh token was taken from is logged out, and forgets its tokens', async t => {
  const { url } = mobileApp
  const keychain = new MemoryKeychain()
  await new MobileClient(url, keychain).logIn('bob', 'phone')
  const stolen = keychain.value
  for (let i = 0; i < 2; i++) await new MobileClient(url, keychain).request('/me')
  t.equal((await call(`${url}/refresh`, { refresh_token: stolen })).body.code, 'FST_JWT_REUSED')
  t.equal((await new MobileClient(url, keychain).request('/me')).status, 401)
  t.equal(keychain.value, null)
})

t.test('a socket closes when its session ends, on this server and on another', async t => {
  const { cookie } = await call(`${socketsOne.url}/login`, { username: 'ada' })
  const other = await call(`${socketsOne.url}/login`, { username: 'bob' })
  const connect = async (url: string, cookie: string): Promise<WebSocket> => {
    const socket = new WebSocket(`${url.replace('http', 'ws')}/live`, { headers: { cookie } })
    t.teardown(() => { socket.terminate() })
    await once(socket, 'message')
    return socket
  }
  const [here, there, bobs] = await Promise.all([connect(socketsOne.url, cookie), connect(socketsTwo.url, cookie), connect(socketsTwo.url, other.cookie)])
  const closed = Promise.all([once(here, 'close'), once(there, 'close')])
  t.strictSame((await call(`${socketsOne.url}/logout`, {}, { cookie })).body, { logout: true })
  t.strictSame((await closed).map(([code, reason]) => [code, String(reason)]), [[4401, 'FST_JWT_REVOKED'], [4401, 'FST_JWT_REVOKED']])
  t.equal(bobs.readyState, WebSocket.OPEN, 'others stay open')
})

interface GraphqlMessage { type: string, payload?: any }

/** A client of GraphQL over WebSocket, as far as a test needs it. */
class GraphqlSocket {
  readonly socket: WebSocket
  readonly messages: GraphqlMessage[] = []
  readonly closed: Promise<[number, string]>

  constructor (url: string) {
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
    this.socket.on('message', message => { this.messages.push(JSON.parse(String(message))) })
    this.closed = once(this.socket, 'close').then(([code, reason]) => [code as number, String(reason)])
  }

  send (message: object): void { this.socket.send(JSON.stringify(message)) }

  /** The next message of a type. Those before it are dropped. */
  async next (type: string): Promise<any> {
    for (;;) {
      const index = this.messages.findIndex(message => message.type === type)
      if (index >= 0) return this.messages.splice(0, index + 1)[index]?.payload
      await once(this.socket, 'message')
    }
  }

  async init (accessToken?: string): Promise<void> {
    this.send({ type: 'connection_init', payload: { accessToken } })
    await this.next('connection_ack')
  }

  subscribe (id: string): void {
    this.send({ id, type: 'subscribe', payload: { query: 'subscription { announced }' } })
  }
}

t.test('GraphQL: resolvers know who asks, some need a role, and a subscription ends with its session', async t => {
  const { url } = graphql
  const login = async (username: string): Promise<any> => (await call(`${url}/login`, { username })).body
  const ask = (query: string, token?: string) => call(`${url}/graphql`, { query }, token === undefined ? {} : bearer(token))
  const codesOf = ({ body }: Answer): string[] => (body.errors ?? []).map((error: any) => error.extensions.code)
  const [ada, bob, eve] = await Promise.all(['ada', 'bob', 'eve'].map(login))

  t.strictSame((await ask('{ motto me }', bob.accessToken)).body, { data: { motto: 'Read by everybody', me: 'bob' } })
  for (const [token, code] of [[undefined, 'FST_JWT_MISSING_TOKEN'], ['no.valid.token', 'FST_JWT_INVALID_TOKEN'], [bob.refreshToken, 'FST_JWT_ACCESS_REQUIRED']] as const) {
    const answer = await ask('{ motto me }', token)
    t.strictSame([answer.status, answer.body.data, codesOf(answer)], [200, { motto: 'Read by everybody', me: null }, [code]])
  }
  const announce = (token: string) => ask('mutation { announce(text: "hello") }', token)
  t.strictSame(codesOf(await announce(bob.accessToken)), ['FST_JWT_FORBIDDEN'])

  const open = async (): Promise<GraphqlSocket> => {
    const client = new GraphqlSocket(url)
    t.teardown(() => { client.socket.terminate() })
    await once(client.socket, 'open')
    return client
  }
  const [adas, bobs, eves, nobodys] = await Promise.all([open(), open(), open(), open()])
  await Promise.all([adas.init(ada.accessToken), bobs.init(bob.accessToken), eves.init(eve.accessToken), nobodys.init()])
  nobodys.subscribe('1')
  t.equal((await nobodys.next('error'))[0].extensions.code, 'FST_JWT_INVALID_TOKEN')
  for (const client of [adas, bobs, eves]) {
    client.subscribe('1')
    // Nothing says when a subscription is there.
    const heard = client.next('next')
    for (let done = false; !done;) {
      t.strictSame((await announce(ada.accessToken)).body, { data: { announce: true } })
      done = await Promise.race([heard.then(() => true), call(`${url}/graphql?query={motto}`).then(() => false)])
    }
    t.strictSame(await heard, { data: { announced: 'ada: hello' } })
  }

  // A socket that goes on as somebody else loses what it was allowed as bob.
  await bobs.init(ada.accessToken)
  bobs.subscribe('2')
  t.strictSame((await call(`${url}/logout`, {}, bearer(bob.accessToken))).body, { logout: true })
  t.strictSame(await bobs.closed, [4403, 'FST_JWT_REVOKED'])
  const late = await open()
  await late.init(bob.accessToken)
  late.subscribe('1')
  t.equal((await late.next('error'))[0].extensions.code, 'FST_JWT_REVOKED')

  t.strictSame((await ask('mutation { makeAdmin(name: "eve") }', ada.accessToken)).body, { data: { makeAdmin: true } })
  t.strictSame(codesOf(await announce(eve.accessToken)), ['FST_JWT_STALE'])
  t.strictSame(await eves.closed, [4403, 'FST_JWT_STALE'], 'the client refreshes, and connects again')
  const { accessToken } = (await call(`${url}/refresh`, {}, bearer(eve.refreshToken))).body
  t.strictSame((await announce(accessToken)).body, { data: { announce: true } })
  for (let text = ''; text !== 'eve: hello';) text = (await adas.next('next')).data.announced
  t.equal(adas.socket.readyState, WebSocket.OPEN, 'others go on')
})
