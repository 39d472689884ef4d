import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import type { Test } from 'tap'
import { refresh, send, sessionApp, verdict } from '../helpers/session-app.ts'
import type { JwtEvents } from '../../lib/index.ts'
import { movableTime } from '../helpers/clock.ts'

const names = ['token.refused', 'token.revoked', 'refresh.reused', 'session.started', 'session.rotated', 'session.revoked'] as const

/** Everything published from now on, in order. */
function listen (t: Test): Array<[name: keyof JwtEvents, event: unknown]> {
  const events: Array<[keyof JwtEvents, unknown]> = []
  for (const name of names) {
    const note = (event: unknown): void => { events.push([name, event]) }
    subscribe(`fastify-jwt-extended:${name}`, note)
    t.teardown(() => { unsubscribe(`fastify-jwt-extended:${name}`, note) })
  }
  return events
}

interface Line { level: number, msg: string, reqId?: string, [field: string]: unknown }

function logTo (lines: Line[]): object {
  return { logger: { level: 'debug', stream: { write (line: string) { lines.push(JSON.parse(line)) } } } }
}

/** What this package logged, without what Fastify did. */
function ours (lines: readonly Line[]): Array<[level: number, message: string]> {
  return lines.filter(({ msg }) => /^(JWT|Token|Refresh|Session)/.test(msg) && !/required|has been|expired/.test(msg)).map(({ level, msg }) => [level, msg])
}

for (const refreshTokenFormat of ['jwt', 'opaque'] as const) {
  t.test(`each event is published and logged once, with ids and causes, never a token (${refreshTokenFormat})`, async t => {
    const time = movableTime(t)
    const lines: Line[] = []
    const app = await sessionApp(t, { refreshTokenFormat, sessionMaxAge: '1h', leeway: 10 }, logTo(lines))
    const events = listen(t)
    const tokens: string[] = []
    const expect = (...expected: Array<[name: keyof JwtEvents, event: object]>): void => {
      t.strictSame(events.splice(0), expected)
    }

    const first = await app.jwt.createSession('ada')
    const sessionId = first.sessionId
    expect(['session.started', { sessionId, identity: 'ada' }])
    const second = await refresh(app, first.refreshToken)
    expect(['session.rotated', { sessionId, identity: 'ada', repeated: false }])
    const again = await refresh(app, first.refreshToken)
    expect(['session.rotated', { sessionId, identity: 'ada', repeated: true }])

    t.equal(await verdict(app, 'GET', '/me', second.accessToken), 200, 'the successor is used')
    time.advance(11)
    const reused = await send(app, 'POST', '/refresh', first.refreshToken)
    t.equal(reused.json().code, 'FST_JWT_REUSED')
    const requestId = /^req-/
    t.match(events, [
      ['session.revoked', { sessionId, cause: 'reused' }],
      ['refresh.reused', { sessionId, identity: 'ada' }],
      ['token.refused', { code: 'FST_JWT_REUSED', requestId, method: 'POST', route: '/refresh' }]
    ])
    t.equal(events.splice(0).length, 3)

    const third = await app.jwt.createSession('eve')
    await app.jwt.revokeToken(third.accessToken)
    const { jti } = app.jwt.decodeToken(third.accessToken)
    await app.jwt.revokeSession(third.sessionId)
    await app.jwt.revokeSession(third.sessionId)
    expect(
      ['session.started', { sessionId: third.sessionId, identity: 'eve' }],
      ['token.revoked', { jti, sessionId: third.sessionId }],
      ['session.revoked', { sessionId: third.sessionId, cause: 'revoked' }]
    )

    const fourth = await app.jwt.createSession('old')
    events.splice(0)
    time.advance(3605)
    await send(app, 'POST', '/refresh', fourth.refreshToken)
    t.match(events.splice(0), [
      ['session.revoked', { sessionId: fourth.sessionId, cause: 'expired' }],
      ['token.refused', { code: 'FST_JWT_EXPIRED', route: '/refresh' }]
    ])

    tokens.push(...[first, second, again, third, fourth].flatMap(({ accessToken, refreshToken }) => [accessToken, refreshToken]))
    const written = JSON.stringify(lines)
    for (const token of tokens) {
      for (const part of token.split('.').slice(-2)) t.notOk(written.includes(part))
    }
    t.strictSame(ours(lines), [
      [30, 'Session started'], [20, 'Refresh token rotated'], [20, 'Refresh token rotated'],
      [30, 'Session revoked'], [40, 'Refresh token reused, session ended'], [20, 'JWT refused'],
      [30, 'Session started'], [30, 'Token revoked'], [30, 'Session revoked'],
      [30, 'Session started'], [30, 'Session revoked'], [20, 'JWT refused']
    ])
    t.ok(lines.find(({ msg }) => msg.startsWith('Refresh token reused'))?.reqId, 'which says which request it was')
  })
}

t.test('the reason is what the package says, whatever clients are told', async t => {
  const app = await sessionApp(t, { messages: { FST_JWT_INVALID_TOKEN: 'No' } })
  const events = listen(t)
  const response = await send(app, 'POST', '/refresh', app.jwt.createRefreshToken('ada'))
  t.equal(response.json().message, 'No')
  t.match(events, [['token.refused', { reason: 'Invalid token: sid' }]])
})

t.test('a refused token is an event with its cause, whatever hook refused it; no token is none', async t => {
  const app = await sessionApp(t)
  const events = listen(t)
  app.get('/items/:id', { preHandler: app.jwtRequired }, async () => ({}))
  const expired = app.jwt.createAccessToken('ada', { expiresIn: -1 })
  t.equal(await verdict(app, 'GET', '/items/7?x=1', expired), 'FST_JWT_EXPIRED')
  t.equal((await send(app, 'GET', '/maybe', `${expired}x`)).statusCode, 200)
  t.equal(await verdict(app, 'POST', '/refresh', app.jwt.createRefreshToken('ada')), 'FST_JWT_INVALID_TOKEN')
  t.equal((await app.inject('/me')).statusCode, 401)
  t.equal(await verdict(app, 'GET', '/me', app.jwt.createAccessToken('ada')), 200)
  t.match(events, [
    ['token.refused', { code: 'FST_JWT_EXPIRED', reason: 'Token has expired', requestId: String, method: 'GET', route: '/items/:id' }],
    ['token.refused', { code: 'FST_JWT_INVALID_SIGNATURE', method: 'GET', route: '/maybe' }],
    ['token.refused', { code: 'FST_JWT_INVALID_TOKEN', reason: 'Invalid token: sid', method: 'POST', route: '/refresh' }]
  ])
  t.equal(events.length, 3)
})

t.test('a store that does not answer is no refusal', async t => {
  const fail = (): never => { throw new Error('down') }
  const store = {
    denyToken: fail,
    denySession: fail,
    isDenied: fail,
    useOnce: fail,
    checkToken: fail,
    createSession: fail,
    getSession: fail,
    getSessionState: fail,
    replaceSession: fail,
    endSession: fail,
    endSessions: fail,
    listSessions: fail
  }
  const app = await sessionApp(t, { store })
  const events = listen(t)
  t.equal(await verdict(app, 'GET', '/me', app.jwt.createAccessToken('ada')), 'FST_JWT_STORE_UNAVAILABLE')
  await t.rejects(app.jwt.createSession('ada'))
  await t.rejects(app.jwt.revokeSession('x'))
  t.strictSame(events, [])
})

t.test('at the usual level a refusal is no log line, and still an event for who subscribes', async t => {
  const lines: Line[] = []
  const logger = { level: 'info', stream: { write (line: string) { lines.push(JSON.parse(line)) } } }
  const app = await sessionApp(t, {}, { logger })
  const expired = app.jwt.createAccessToken('ada', { expiresIn: -1 })
  t.equal(await verdict(app, 'GET', '/me', expired), 'FST_JWT_EXPIRED')
  const events = listen(t)
  t.equal(await verdict(app, 'GET', '/me', expired), 'FST_JWT_EXPIRED')
  t.equal(events.length, 1)
  t.strictSame(ours(lines), [])
})
