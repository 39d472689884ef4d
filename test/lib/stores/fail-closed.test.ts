import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { session } from '../../../lib/stores/contract-tests/contract-test.ts'
import { refresh, send, sessionApp, verdict } from '../../helpers/session-app.ts'
import type { MaybePromise, Store } from '../../../lib/index.ts'

const methods = [
  'denyToken', 'denySession', 'isDenied', 'useOnce', 'checkToken', 'createSession', 'getSession', 'getSessionState', 'replaceSession', 'endSession', 'endSessions', 'listSessions'
] as const
type Method = typeof methods[number]

/** A store over one in memory, whose methods answer as `answer` has it. */
function storeThat (memory: MemoryStore, answer: (method: Method, value: () => unknown) => unknown): Store {
  const wrapped = Object.fromEntries(methods.map(method =>
    [method, (...args: unknown[]) => answer(method, () => Reflect.apply(memory[method], memory, args))]))
  return wrapped as unknown as Store
}

function memoryStore (t: Test): MemoryStore {
  const memory = new MemoryStore()
  t.teardown(() => memory.close())
  return memory
}

const failures: Record<string, () => unknown> = {
  'throws an error': () => { throw new Error('connection to redis://:hunter2@db refused') },
  'throws something else': () => { throw 'hunter2' as unknown as Error }, // eslint-disable-line no-throw-literal
  rejects: async () => { throw new Error('connection to redis://:hunter2@db refused') },
  'rejects with nothing': async () => { throw undefined as unknown as Error }, // eslint-disable-line no-throw-literal
  'returns a thenable that rejects': () => ({ then (_: unknown, reject: (error: Error) => void) { reject(new Error('hunter2')) } })
}

for (const [how, fail] of Object.entries(failures)) {
  for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
    t.test(`a store that ${how} is a 503 that tells the client nothing, with ${refreshTokenFormat} refresh tokens`, async t => {
      const memory = memoryStore(t)
      let broken: readonly Method[] = []
      const store = storeThat(memory, (method, value) => broken.includes(method) ? fail() : value())
      const lines: string[] = []
      const app = await sessionApp(t, { store, refreshTokenFormat }, { logger: { level: 'info', stream: { write (line: string) { lines.push(line) } } } })
      app.post('/login', async () => app.jwt.createSession('ada'))
      const { accessToken, refreshToken, sessionId } = await app.jwt.createSession('ada')

      const requests: Array<[broken: Method[], method: 'GET' | 'POST', url: string, token: string]> = [
        [['checkToken'], 'GET', '/me', accessToken],
        [['checkToken'], 'GET', '/maybe', accessToken],
        [['isDenied'], 'GET', '/me', app.jwt.createAccessToken('ada')],
        [['isDenied'], 'GET', '/refresh-token', refreshToken],
        [['getSession'], 'GET', '/refresh-token', refreshToken],
        [['isDenied', 'getSession'], 'GET', '/refresh-token', refreshToken],
        [['replaceSession'], 'POST', '/refresh', refreshToken],
        [['createSession'], 'POST', '/login', '']
      ]
      for (const [methods, method, url, token] of requests) {
        broken = methods
        const response = await send(app, method, url, token)
        t.equal(response.statusCode, 503, `${url} without ${methods.join()}`)
        t.strictSame(response.json(), {
          statusCode: 503, code: 'FST_JWT_STORE_UNAVAILABLE', error: 'Service Unavailable', message: 'Token store unavailable'
        })
        t.notMatch(JSON.stringify(response.headers), /hunter2|www-authenticate/i)
      }
      broken = methods
      const calls: Array<() => Promise<unknown>> = [
        async () => app.jwt.revokeToken(accessToken), async () => app.jwt.listSessions('ada'),
        async () => app.jwt.revokeSession(sessionId), async () => app.jwt.revokeAllSessions('ada')
      ]
      for (const call of calls) await t.rejects(async () => { await call() }, { code: 'FST_JWT_STORE_UNAVAILABLE' })
      if (refreshTokenFormat === 'opaque') await t.rejects(app.jwt.revokeToken(refreshToken), { code: 'FST_JWT_STORE_UNAVAILABLE' })

      broken = []
      for (const token of [accessToken, refreshToken]) t.notMatch(lines.join(''), token)
      t.equal(await verdict(app, 'GET', '/me', accessToken), 200, 'and it is back without a restart')
      t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 200)
    })
  }
}

for (const answer of [undefined, null, 0, 'no', {}]) {
  t.test(`a denylist that answers ${JSON.stringify(answer)} has not said that a token may pass`, async t => {
    const memory = memoryStore(t)
    let broken = false
    const whole = storeThat(memory, (method, value) => broken && method === 'isDenied' ? answer : value())
    const later = storeThat(memory, async (method, value) => broken && method === 'isDenied' ? answer : value())
    for (const store of [whole, later, { denylist: whole, sessions: memory }, { denylist: later, sessions: later }]) {
      for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
        broken = false
        const app = await sessionApp(t, { store, refreshTokenFormat })
        const { accessToken, refreshToken } = await app.jwt.createSession('ada')
        broken = true
        const access = 'denylist' in store ? accessToken : app.jwt.createAccessToken('ada')
        t.equal(await verdict(app, 'GET', '/me', access), 'FST_JWT_STORE_UNAVAILABLE')
        t.equal(await verdict(app, 'GET', '/refresh-token', refreshToken), 'FST_JWT_STORE_UNAVAILABLE')
        t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_STORE_UNAVAILABLE')
      }
    }
  })
}

t.test('a store that says nothing of a session lets none of its tokens pass', async t => {
  const memory = memoryStore(t)
  let answer: unknown
  const store = storeThat(memory, (method, value) => method === 'checkToken' ? answer : value())
  const app = await sessionApp(t, { store })
  const { accessToken } = await app.jwt.createSession('ada')
  for (answer of [undefined, null, false, 0, '', 'fine', {}, { used: true }, { staleBefore: '0' }, { version: 1, generation: 0, used: true, staleBefore: NaN }]) {
    t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_STORE_UNAVAILABLE', JSON.stringify(answer))
  }
  answer = true
  t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_REVOKED')
})

/** A session, with members that no session has. */
function whole (wrong: object): object {
  return { ...session(), ...wrong }
}

const nonsense: Record<string, unknown> = {
  nothing: undefined,
  'a number': 1,
  'an empty object': {},
  'parts without their types': { created: 'yes', ended: {}, session: {}, now: 0, more: 1, sessions: 'none', next: null },
  'sessions without their document': { session: whole({ document: undefined }), now: 0, sessions: [whole({ document: undefined })], next: null },
  'sessions without an identity': { session: whole({ identity: undefined }), now: 0, sessions: [whole({ identity: undefined })], next: null },
  'sessions whose numbers are none': { session: whole({ staleBefore: NaN }), now: 0, sessions: [whole({ staleBefore: NaN })], next: null },
  'a time that is none': { session: session(), now: NaN, sessions: [session()] }
}

for (const [what, answer] of Object.entries(nonsense)) {
  t.test(`a store that answers ${what} is a 503, and the log says which method it was`, async t => {
    const memory = memoryStore(t)
    let broken: Method | null = null
    for (const wrap of [(value: unknown) => value, async (value: unknown) => value]) {
      const lines: string[] = []
      const store = storeThat(memory, (method, value) => wrap(method === broken ? answer : value()))
      const app = await sessionApp(t, { store }, { logger: { level: 'error', stream: { write (line: string) { lines.push(line) } } } })
      app.post('/login', async () => app.jwt.createSession('ada'))
      app.post('/list', async () => app.jwt.listSessions('ada'))
      app.post('/end', async () => app.jwt.revokeSession(sessionId))
      app.post('/end-all', async () => app.jwt.revokeAllSessions('ada'))
      const { refreshToken, sessionId } = await app.jwt.createSession('ada')
      for (const [method, url] of [
        ['isDenied', '/refresh'], ['getSession', '/refresh'], ['replaceSession', '/refresh'], ['createSession', '/login'],
        ['listSessions', '/list'], ['endSession', '/end'], ['endSessions', '/end-all']
      ] as const) {
        broken = method
        lines.length = 0
        const response = await send(app, 'POST', url, refreshToken)
        t.strictSame([response.statusCode, response.json().code], [503, 'FST_JWT_STORE_UNAVAILABLE'], method)
        t.match(lines.join(''), `${method} of the store must return`)
        broken = null
      }
    }
  })
}

t.test('sessions that are kept apart must say whether there is one', async t => {
  const memory = memoryStore(t)
  let answer: unknown
  const sessions = storeThat(memory, (method, value) => method === 'getSessionState' ? answer : value())
  const app = await sessionApp(t, { store: { denylist: memory, sessions } })
  const { accessToken } = await app.jwt.createSession('ada')
  for (answer of [undefined, false, {}, 'unknown']) t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_STORE_UNAVAILABLE', JSON.stringify(answer))
  answer = null
  t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_REVOKED')
})

t.test('the log has what went wrong', async t => {
  const memory = memoryStore(t)
  const store = storeThat(memory, () => { throw new Error('connection refused') })
  const lines: string[] = []
  const app = await sessionApp(t, { store }, { logger: { level: 'error', stream: { write (line: string) { lines.push(line) } } } })
  await send(app, 'GET', '/me', app.jwt.createAccessToken('ada'))
  t.match(lines.join(''), /Token store unavailable.*connection refused/)
})

t.test('reuse that cannot end the session is a 503, and found again the next time', async t => {
  const memory = memoryStore(t)
  let broken = false
  const store = storeThat(memory, (method, value) => {
    if (broken && method === 'endSession') throw new Error('read only')
    return value()
  })
  const app = await sessionApp(t, { store, refreshReuseInterval: 0 })
  const { refreshToken } = await app.jwt.createSession('ada')
  await verdict(app, 'GET', '/me', (await refresh(app, refreshToken)).accessToken)
  broken = true
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_STORE_UNAVAILABLE')
  broken = false
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_REUSED')
})

t.test('no rejection is left unhandled when only one of two questions is answered', async t => {
  const memory = memoryStore(t)
  const unhandled: unknown[] = []
  const note = (error: unknown): void => { unhandled.push(error) }
  process.on('unhandledRejection', note)
  t.teardown(() => { process.off('unhandledRejection', note) })
  const answers: Array<[denied: () => MaybePromise<boolean>, session: () => never | Promise<never>]> = [
    [async () => Promise.reject(new Error('denied')), () => { throw new Error('session') }],
    [async () => Promise.reject(new Error('denied')), async () => Promise.reject(new Error('session'))],
    [async () => true, async () => Promise.reject(new Error('session'))],
    [() => true, async () => Promise.reject(new Error('session'))]
  ]
  for (const [denied, session] of answers) {
    let broken = false
    const store = storeThat(memory, (method, value) => {
      if (broken && method === 'isDenied') return denied()
      if (broken && method === 'getSession') return session()
      return value()
    })
    const app = await sessionApp(t, { store })
    const { refreshToken } = await app.jwt.createSession('ada')
    broken = true
    t.equal((await send(app, 'GET', '/refresh-token', refreshToken)).statusCode, 503)
  }
  await sleep(20)
  t.strictSame(unhandled, [])
})

for (const [kind, wrap] of Object.entries<(value: unknown) => unknown>({
  promises: async value => sleep(1, value),
  thenables: value => ({ then: (resolve: (value: unknown) => void) => { resolve(value) } }),
  'thenables that answer later': value => ({ then: (resolve: (value: unknown) => void) => { setImmediate(resolve, value) } })
})) {
  t.test(`a store that answers with ${kind} serves as one in memory does`, async t => {
    const memory = memoryStore(t)
    const app = await sessionApp(t, { store: storeThat(memory, (_method, value) => wrap(value())) })
    const first = await app.jwt.createSession('ada')
    t.equal(await verdict(app, 'GET', '/me', first.accessToken), 200)
    const second = await refresh(app, first.refreshToken)
    t.equal((await refresh(app, first.refreshToken)).refreshToken, second.refreshToken)
    t.equal((await app.jwt.listSessions('ada')).length, 1)
    t.equal(await app.jwt.revokeAllSessions('ada'), 1)
    for (const { accessToken } of [first, second]) t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_REVOKED')
    t.equal((await send(app, 'GET', '/maybe', first.accessToken)).json().user, null)
  })
}

t.test('a refresh asks a store twice in one breath, and a protected request once', async t => {
  const memory = memoryStore(t)
  let asked: string[] = []
  const store = storeThat(memory, async (method, value) => {
    asked.push(method)
    await sleep(5)
    return value()
  })
  for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
    const app = await sessionApp(t, { store, refreshTokenFormat })
    const { accessToken, refreshToken } = await app.jwt.createSession('ada')
    for (const [url, token, questions] of [['/me', accessToken, ['checkToken']], ['/refresh-token', refreshToken, ['isDenied', 'getSession']]] as const) {
      asked = []
      const response = send(app, 'GET', url, token)
      while (asked.length === 0) await sleep(1)
      t.strictSame(asked, questions, 'before any answer has come')
      t.equal((await response).statusCode, 200)
      t.strictSame(asked, questions, 'and no more after it')
    }
  }
})

t.test('what a store does at registration: opened once, not closed, and a failure stops start-up', async t => {
  const memory = memoryStore(t)
  const calls: string[] = []
  const store = Object.assign(storeThat(memory, (_method, value) => value()), {
    open: async () => { calls.push('open') }, close: async () => { calls.push('close') }
  })
  const app = await sessionApp(t, { store })
  await app.close()
  t.strictSame(calls, ['open'])
  await t.rejects(sessionApp(t, { store: { ...store, open: async () => { throw new Error('wrong version') } } }), { message: 'wrong version' })
})
