import Fastify from 'fastify'
import t from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { clientKey, proof } from '../../helpers/proof.ts'
import { refresh, send, sessionApp, verdict } from '../../helpers/session-app.ts'
import type { Tokens } from '../../helpers/session-app.ts'
import { movableTime, stoppedTime } from '../../helpers/clock.ts'
import type { JwtError, SessionRecord, Store } from '../../../lib/index.ts'

const interval = 10

/** What one of the two does: use the access token, use the refresh token, lose its answer, or wait past the interval. */
type Step = 'access' | 'refresh' | 'lose' | 'wait'
type Party = 'owner' | 'thief'

/**
 * The rule in its plainest form: generations are numbers, and a session remembers the current one, whether it was used, and when
 * it began.
 */
class Model {
  live = true
  current = 0
  used = true
  rotatedAt = 0
  now = 0

  /** @returns The generation that the answer carries; `null` for a refusal. */
  refresh (generation: number): number | null {
    if (!this.live) return null
    if (generation === this.current) {
      this.current++
      this.used = false
      this.rotatedAt = this.now
      return this.current
    }
    if (generation === this.current - 1 && (!this.used || this.now - this.rotatedAt < interval)) return this.current
    this.live = false
    return null
  }

  access (generation: number): boolean {
    if (this.live && generation === this.current) this.used = true
    return this.live
  }
}

/** How many steps are tried in every order. Six take three minutes. */
const depth = Number(process.env['LOST_ANSWER_STEPS'] ?? 4)

const steps: ReadonlyArray<readonly [Party, Step]> = [
  ...(['owner', 'thief'] as const).flatMap(party => (['access', 'refresh', 'lose'] as const).map(step => [party, step] as const)), ['owner', 'wait']
]

type Held = Readonly<Record<Party, { readonly tokens: Tokens, readonly generation: number }>>

/** What has been done, and where it has led: on the server and in the model. */
interface Situation { readonly path: ReadonlyArray<readonly [Party, Step]>, readonly record: SessionRecord | null, readonly model: Model, readonly held: Held }

t.test(`in every order of up to ${depth} steps of an owner and a thief, the server does as a plain model: an owner alone is never signed out, and the two cannot both go on`, async t => {
  const time = stoppedTime(t)
  const store = new MemoryStore()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store, refreshReuseInterval: interval, accessExpires: '10 days' })
  const stolen = await app.jwt.createSession('ada')
  const read = (): SessionRecord | null => store.getSession(stolen.sessionId)?.session ?? null
  const faults: string[] = []
  let count = 0

  /** Takes one more step. The session is put back to where the steps before have led. */
  async function act ({ path, record, model: before, held }: Situation, party: Party, step: Step): Promise<Situation> {
    count++
    store.endSession(stolen.sessionId)
    if (record !== null) store.createSession(record, null)
    time.reset()
    const model = Object.assign(new Model(), before)
    if (step === 'wait') model.now += interval + 1
    time.advance(model.now)
    const after = [...path, [party, step] as const]
    const { tokens, generation } = held[party]
    let mine = held[party]
    let [passes, expected] = [true, true]
    if (step === 'access') {
      passes = (await send(app, 'GET', '/me', tokens.accessToken)).statusCode === 200
      expected = model.access(generation)
    } else if (step !== 'wait') {
      const answer = await send(app, 'POST', '/refresh', tokens.refreshToken)
      const next = model.refresh(generation)
      passes = answer.statusCode === 200
      expected = next !== null
      if (passes && next !== null && step === 'refresh') mine = { tokens: answer.json<Tokens>(), generation: next }
    }
    if (passes !== expected) faults.push(`${after.join(' ')}: ${passes}`)
    if (!passes && after.every(([by]) => by === 'owner')) faults.push(`${after.join(' ')}: the owner was alone`)
    return { path: after, record: read(), model, held: { ...held, [party]: mine } }
  }

  /** The second of the two to use what it has is found out. */
  async function bothGoOn (situation: Situation): Promise<void> {
    let now = situation
    for (const party of ['owner', 'thief', 'owner', 'thief'] as const) {
      for (const step of ['refresh', 'access'] as const) now = await act(now, party, step)
      now = await act(now, 'owner', 'wait')
    }
    if (now.model.live) faults.push(`${situation.path.join(' ')}: both go on`)
  }

  async function explore (situation: Situation): Promise<void> {
    // Where nobody is let in any more, nothing more can happen.
    if (!situation.model.live) return
    if (situation.path.length <= 1) await bothGoOn(situation)
    if (situation.path.length === depth) return
    for (const [party, step] of steps) await explore(await act(situation, party, step))
  }

  const first = { tokens: stolen, generation: 0 }
  await explore({ path: [], record: read(), model: new Model(), held: { owner: first, thief: first } })
  t.strictSame(faults, [])
  t.comment(`${count} steps`)
})

t.test('refreshUntilUsed: false ends a session whose answer was lost for longer than the interval', async t => {
  const time = movableTime(t)
  const app = await sessionApp(t, { refreshReuseInterval: interval, refreshUntilUsed: false })
  const { refreshToken } = await app.jwt.createSession('ada')
  await refresh(app, refreshToken)
  time.advance(interval + 1)
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_REUSED')
})

t.test('a pair is marked as used once, by its first token that comes in, and the request waits for nothing', async t => {
  let writes = 0
  let fail = false
  const store = new class extends MemoryStore {
    override replaceSession (...args: Parameters<MemoryStore['replaceSession']>): boolean {
      if (args[2].used === true) {
        writes++
        if (fail) throw new Error('disk full')
      }
      return super.replaceSession(...args)
    }
  }()
  t.teardown(() => store.close())
  const lines: string[] = []
  const app = await sessionApp(t, { store }, { logger: { level: 'warn', stream: { write (line: string) { lines.push(line) } } } })
  const first = await app.jwt.createSession('ada')
  for (let times = 0; times < 3; times++) await verdict(app, 'GET', '/me', first.accessToken)
  t.equal(writes, 0, 'nothing depends on the first pair')
  const second = await refresh(app, first.refreshToken)
  fail = true
  t.equal(await verdict(app, 'GET', '/me', second.accessToken), 200, 'a store that cannot write it down refuses nobody')
  t.match(lines.join(''), /could not be written down.*disk full|disk full.*could not be written down/)
  fail = false
  for (let times = 0; times < 3; times++) t.equal(await verdict(app, 'GET', '/me', second.accessToken), 200)
  t.equal(writes, 2, 'and the next token that comes in writes it')
  t.equal(store.getSession(first.sessionId)?.session.used, true)
})

t.test('a store that answers later is written to once, however many requests come in meanwhile', async t => {
  let writes = 0
  let fail = false
  const memory = new MemoryStore()
  t.teardown(() => memory.close())
  const later = <T>(answer: () => T): Promise<T> => new Promise((resolve, reject) => { setImmediate(() => { try { resolve(answer()) } catch (error) { reject(error instanceof Error ? error : new Error(String(error))) } }) })
  const store = {
    denyToken: (...args: Parameters<MemoryStore['denyToken']>) => later(() => memory.denyToken(...args)),
    denySession: (...args: Parameters<MemoryStore['denySession']>) => later(() => memory.denySession(...args)),
    isDenied: (...args: Parameters<MemoryStore['isDenied']>) => later(() => memory.isDenied(...args)),
    useOnce: (...args: Parameters<MemoryStore['useOnce']>) => later(() => memory.useOnce(...args)),
    checkToken: (...args: Parameters<MemoryStore['checkToken']>) => later(() => memory.checkToken(...args)),
    createSession: (...args: Parameters<MemoryStore['createSession']>) => later(() => memory.createSession(...args)),
    getSession: (...args: Parameters<MemoryStore['getSession']>) => later(() => memory.getSession(...args)),
    getSessionState: (...args: Parameters<MemoryStore['getSessionState']>) => later(() => memory.getSessionState(...args)),
    replaceSession: (...args: Parameters<MemoryStore['replaceSession']>) => later(() => {
      if (args[2].used === true) {
        writes++
        if (fail) throw new Error('away')
      }
      return memory.replaceSession(...args)
    }),
    endSession: (...args: Parameters<MemoryStore['endSession']>) => later(() => memory.endSession(...args)),
    endSessions: (...args: Parameters<MemoryStore['endSessions']>) => later(() => memory.endSessions(...args)),
    listSessions: (...args: Parameters<MemoryStore['listSessions']>) => later(() => memory.listSessions(...args))
  }
  const app = await sessionApp(t, { store })
  const first = await app.jwt.createSession('ada')
  const settled = async (): Promise<void> => { for (let turns = 0; turns < 10; turns++) await later(() => {}) }
  const second = await refresh(app, first.refreshToken)
  await Promise.all(Array.from({ length: 20 }, async () => verdict(app, 'GET', '/me', second.accessToken)))
  await settled()
  t.equal(writes, 1)
  t.equal(memory.getSession(first.sessionId)?.session.used, true)
  const third = await refresh(app, second.refreshToken)
  fail = true
  t.equal(await verdict(app, 'GET', '/me', third.accessToken), 200)
  await settled()
  t.equal(memory.getSession(first.sessionId)?.session.used, false)
  fail = false
  t.equal(await verdict(app, 'GET', '/me', third.accessToken), 200)
  await settled()
  t.equal(memory.getSession(first.sessionId)?.session.used, true, 'what could not be written is written later')
})

/** A store that answers with promises. */
function answeringLater (store: MemoryStore): Store {
  return new Proxy<Store>(store, {
    get (_store, name: keyof MemoryStore) {
      const member = store[name] as unknown
      return typeof member === 'function' ? async (...args: unknown[]) => Reflect.apply(member, store, args) as unknown : member
    }
  })
}

for (const [kind, storeOf] of [['at once', (store: MemoryStore): Store => store], ['later', answeringLater]] as const) {
  t.test(`a token that is refused has not come in, and costs nobody its session, by a store that answers ${kind}`, async t => {
    const time = movableTime(t)
    const memory = new MemoryStore()
    t.teardown(() => memory.close())
    let refusing: 'nothing' | 'claims' | 'user' | 'revoked' = 'nothing'
    const app = await sessionApp(t, {
      store: storeOf(memory),
      refreshReuseInterval: interval,
      accessExpires: '10 days',
      verifyClaims: () => refusing !== 'claims',
      userLookup: () => refusing === 'user' ? null : { name: 'ada' },
      isRevoked: () => refusing === 'revoked'
    })
    const refused = { claims: 'FST_JWT_CLAIMS_REJECTED', user: 'FST_JWT_USER_NOT_FOUND', revoked: 'FST_JWT_REVOKED' } as const
    const judged = async (token: string): Promise<number | string> => app.jwt.authenticate(token).then(() => 200, (error: JwtError) => error.code)
    for (const step of ['claims', 'user', 'revoked'] as const) {
      for (const [way, present] of [
        ['an access token', async ({ accessToken }: Tokens) => verdict(app, 'GET', '/me', accessToken)],
        ['a refresh token', async ({ refreshToken }: Tokens) => verdict(app, 'GET', '/refresh-token', refreshToken)],
        ['a token that came in no request', async ({ accessToken }: Tokens) => judged(accessToken)]
      ] as const) {
        const first = await app.jwt.createSession('ada')
        const second = await refresh(app, first.refreshToken)
        refusing = step
        t.equal(await present(second), refused[step], way)
        refusing = 'nothing'
        time.advance(interval + 1)
        t.equal(await verdict(app, 'POST', '/refresh', first.refreshToken), 200, `${way}, refused by ${step}: the answer may have been lost still`)
        t.equal(await present(second), 200)
        t.equal(await verdict(app, 'POST', '/refresh', first.refreshToken), 'FST_JWT_REUSED', `${way} that was let in`)
      }
    }
  })
}

for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
  t.test(`whoever steals bound tokens without the key can't end the session, with ${refreshTokenFormat} refresh tokens`, async t => {
    const time = movableTime(t)
    const app = await sessionApp(t, { dpop: 'allowed', refreshReuseInterval: interval, refreshTokenFormat, accessExpires: '10 days' })
    app.post('/login', async request => app.jwt.createSession('ada', { request }))
    const [owner, thief] = [clientKey(), clientKey()]
    const ask = async (method: 'GET' | 'POST', url: string, token: string | null, key: typeof owner) => app.inject({
      method,
      url,
      headers: {
        ...(token === null ? {} : { authorization: `DPoP ${token}` }),
        dpop: proof(key, { method, url: `http://localhost${url}`, ...(url === '/me' && token !== null ? { token } : {}) })
      }
    })
    const login = (await ask('POST', '/login', null, owner)).json<Tokens>()
    // Its answer is lost.
    const stolen = (await ask('POST', '/refresh', login.refreshToken, owner)).json<Tokens>()
    for (const [url, token] of [['/me', stolen.accessToken], ['/refresh-token', stolen.refreshToken]] as const) {
      t.equal((await send(app, 'GET', url, token)).json<JwtError>().code, 'FST_JWT_DPOP_BINDING', `${url}, as a bearer token`)
      t.equal((await ask('GET', url, token, thief)).json<JwtError>().code, 'FST_JWT_DPOP_BINDING', `${url}, with a proof of another key`)
      t.equal((await app.inject({ url, headers: { authorization: `DPoP ${token}` } })).json<JwtError>().code, 'FST_JWT_DPOP_PROOF', `${url}, without a proof`)
    }
    await t.rejects(app.jwt.authenticate(stolen.accessToken), { code: 'FST_JWT_DPOP_BINDING' })
    time.advance(interval + 1)
    t.equal((await ask('POST', '/refresh', login.refreshToken, owner)).statusCode, 200, 'the owner goes on')
    t.equal((await ask('GET', '/me', stolen.accessToken, owner)).statusCode, 200)
    t.equal((await ask('POST', '/refresh', login.refreshToken, owner)).json<JwtError>().code, 'FST_JWT_REUSED', 'with the key, it has come in')
  })
}

t.test('a store that holds its denials in memory knows a pair after its use was written, and not by a token that was refused', async t => {
  let asked = 0
  let accepted = true
  const store = new class extends MemoryStore {
    judge (): 'passes' { return 'passes' }
    override checkToken (...args: Parameters<MemoryStore['checkToken']>): ReturnType<MemoryStore['checkToken']> {
      asked++
      return super.checkToken(...args)
    }
  }()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store, verifyClaims: () => accepted })
  const first = await app.jwt.createSession('ada')
  const { accessToken, sessionId } = await refresh(app, first.refreshToken)
  const present = async (): Promise<[number | string, number, boolean | undefined]> => {
    const before = asked
    return [await verdict(app, 'GET', '/me', accessToken), asked - before, store.getSession(sessionId)?.session.used]
  }
  accepted = false
  t.strictSame(await present(), ['FST_JWT_CLAIMS_REJECTED', 1, false])
  t.strictSame(await present(), ['FST_JWT_CLAIMS_REJECTED', 1, false])
  accepted = true
  t.strictSame(await present(), [200, 1, true], 'it is written down now')
  t.strictSame(await present(), [200, 1, true], 'the store has said so')
  t.strictSame(await present(), [200, 0, true])
})

t.test('a token issued after the last rotation that the store knows is no theft: the store has lost one', async t => {
  const store = new MemoryStore()
  t.teardown(() => store.close())
  for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
    const app = await sessionApp(t, { store, refreshTokenFormat })
    const first = await app.jwt.createSession('ada')
    const before = store.getSession(first.sessionId)?.session
    t.ok(before !== undefined)
    const second = await refresh(app, first.refreshToken)
    const third = await refresh(app, second.refreshToken)
    // A failover to a replica that knows of neither rotation.
    store.endSession(first.sessionId)
    if (before !== undefined) store.createSession(before, null)
    const fourth = await refresh(app, third.refreshToken)
    t.equal(store.getSession(first.sessionId)?.session.generation, 3)
    t.equal(await verdict(app, 'GET', '/me', fourth.accessToken), 200)
    t.equal(await verdict(app, 'POST', '/refresh', fourth.refreshToken), 200)
    t.equal(await verdict(app, 'POST', '/refresh', first.refreshToken), 'FST_JWT_REUSED', 'an old one is theft still')
  }
})

t.test('after a loss of its record, the access tokens of a session are refused', async t => {
  const store = new MemoryStore()
  const app = await sessionApp(t, { store })
  const { accessToken, refreshToken } = await app.jwt.createSession('ada')
  t.equal(await verdict(app, 'GET', '/me', accessToken), 200)
  store.close()
  t.equal(await verdict(app, 'GET', '/me', accessToken), 'FST_JWT_REVOKED')
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_REVOKED')
  t.equal(await verdict(app, 'GET', '/me', app.jwt.createAccessToken('ada')), 200, 'a token of no session has no record to lose')
})

t.test('a server that only verifies knows no sessions, and lets their tokens pass', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const { generateKeyPairSync } = await import('node:crypto')
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const issuer = await sessionApp(t, { secretKey: undefined, algorithm: 'EdDSA', privateKey })
  const resource = await sessionApp(t, { secretKey: undefined, algorithm: 'EdDSA', publicKey })
  const { accessToken, sessionId } = await issuer.jwt.createSession('ada')
  t.equal(await verdict(resource, 'GET', '/me', accessToken), 200)
  t.equal(await resource.jwt.revokeSession(sessionId), false)
  t.equal(await verdict(resource, 'GET', '/me', accessToken), 'FST_JWT_REVOKED', 'but for one that it was told of')
})

t.test('a store whose records change faster than they can be read is a 503', async t => {
  const store = new class extends MemoryStore {
    override replaceSession (): boolean {
      return false
    }
  }()
  t.teardown(() => store.close())
  const app = await sessionApp(t, { store })
  const { refreshToken } = await app.jwt.createSession('ada')
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_STORE_UNAVAILABLE')
})

t.test('an opaque successor whose key is gone cannot be made again', async t => {
  const { ecPair } = await import('../../helpers/keys/key-pairs.ts')
  const [first, second] = [ecPair('P-256', 'first'), ecPair('P-256', 'second')]
  const app = await sessionApp(t, { refreshTokenFormat: 'opaque', secretKey: undefined, keys: [{ keyId: 'first', algorithm: 'ES256', privateKey: first.privateKey }] })
  const { refreshToken } = await app.jwt.createSession('ada')
  await refresh(app, refreshToken)
  app.jwt.rotateKeys([{ keyId: 'second', algorithm: 'ES256', privateKey: second.privateKey }, { keyId: 'first', algorithm: 'ES256', publicKey: first.publicKey }])
  t.equal(await verdict(app, 'POST', '/refresh', refreshToken), 'FST_JWT_REVOKED')
})
