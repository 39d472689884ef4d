import type { Test } from 'tap'
import { passage, revokedSessions, until, untilPassage, untilTrusted } from './replicas.ts'
import type { Replicated, Server } from './replicas.ts'
import { send, sessionApp, verdict } from './session-app.ts'
import type { SilentProxy } from './silent-proxy.ts'
import type { Store } from '../../lib/index.ts'

// What holds for every store that replicates.

type Start = (t: Test) => Promise<Server<Store & Replicated>>

/** A token passes without a question until another server revokes it. */
export async function revokedElsewhere (t: Test, start: Start): Promise<void> {
  const [here, there] = [await start(t), await start(t)]
  await untilTrusted(here.store, there.store)
  const events = revokedSessions(t)
  const { accessToken, sessionId } = await here.app.jwt.createSession('ada')
  t.equal(await passage(there, accessToken), '200 from the store', 'each server asks once whether the session is there')
  t.equal(await passage(there, accessToken), '200 from memory')
  await here.app.jwt.revokeSession(sessionId)
  t.match(await passage(here, accessToken), /^FST_JWT_REVOKED/, 'at once')
  await untilPassage(there, accessToken, 'FST_JWT_REVOKED from memory')
  // The other server may hear of it before this one has its answer.
  t.strictSame(new Set(events), new Set([{ sessionId, cause: 'revoked' }, { sessionId, cause: null, remote: true }]))

  const stateless = here.app.jwt.createAccessToken('ada')
  t.equal(await passage(there, stateless), '200 from memory')
  await there.app.jwt.revokeToken(stateless)
  t.match(await passage(there, stateless), /^FST_JWT_REVOKED/, 'at once')
  await untilPassage(here, stateless, 'FST_JWT_REVOKED from memory')

  const late = await start(t)
  await untilTrusted(late.store)
  t.equal(await passage(late, accessToken), 'FST_JWT_REVOKED from memory', 'loaded')
  t.equal(await passage(late, stateless), 'FST_JWT_REVOKED from memory', 'loaded')
}

/** Whatever ends a session ends it on every server. @param count The sessions that end at once. */
export async function endedElsewhere (t: Test, start: Start, count: number): Promise<void> {
  const [here, there] = [await start(t), await start(t)]
  await untilTrusted(here.store, there.store)
  const events = revokedSessions(t)
  const remote = (): object[] => events.filter(event => 'remote' in event)
  const kept = await here.app.jwt.createSession('eve')
  const others: Array<{ sessionId: string, accessToken: string }> = []
  // A few at once: logins of one identity wait for each other.
  while (others.length < count) {
    const some = Math.min(5, count - others.length)
    others.push(...await Promise.all(Array.from({ length: some }, async () => here.app.jwt.createSession('eve'))))
  }
  for (const { accessToken } of [kept, ...others.slice(-3)]) await untilPassage(there, accessToken, '200 from memory')
  t.equal(await here.app.jwt.revokeAllSessions('eve', { except: kept.sessionId }), count)
  await until(() => remote().length === count, 'an event for each')
  for (const { accessToken } of others.slice(-3)) {
    t.match(await passage(here, accessToken), /^FST_JWT_REVOKED/)
    t.equal(await passage(there, accessToken), 'FST_JWT_REVOKED from memory')
  }
  t.equal(await passage(there, kept.accessToken), '200 from memory')

  const limited = await sessionApp(t, { store: there.store, maxSessions: 1 })
  const { refreshToken: old } = await limited.jwt.createSession('eve')
  await untilPassage(here, kept.accessToken, 'FST_JWT_REVOKED from memory')
  t.equal(here.store.judge?.({ jti: null, sid: kept.sessionId, generation: 0, issuedAt: Date.now() / 1000 }), 'denied', 'a token without an id, too')
  t.strictSame(new Set(remote()), new Set([...others, kept].map(({ sessionId }) => ({ sessionId, cause: null, remote: true }))))

  const rotated = (await send(here.app, 'POST', '/refresh', old)).json<{ accessToken: string, refreshToken: string }>()
  await send(here.app, 'POST', '/refresh', rotated.refreshToken)
  await untilPassage(there, rotated.accessToken, '200 from memory')
  t.equal(await verdict(here.app, 'POST', '/refresh', old), 'FST_JWT_REUSED')
  await untilPassage(there, rotated.accessToken, 'FST_JWT_REVOKED from memory')
  t.equal(await here.app.jwt.revokeSession('a session of another issuer'), false)
}

/** Claims that change now make the tokens of before stale on every server. */
export async function staleElsewhere (t: Test, start: Start): Promise<void> {
  const [here, there] = [await start(t), await start(t)]
  await untilTrusted(here.store, there.store)
  const { accessToken, refreshToken, sessionId } = await here.app.jwt.createSession('ada')
  await untilPassage(there, accessToken, '200 from memory')
  await here.app.jwt.updateSession(sessionId, { claims: { role: 'admin' }, now: true })
  t.equal(await passage(here, accessToken), 'FST_JWT_STALE from the store')
  await untilPassage(there, accessToken, 'FST_JWT_STALE from the store')
  const next = (await send(there.app, 'POST', '/refresh', refreshToken)).json<{ accessToken: string }>()
  for (const server of [here, there]) await untilPassage(server, next.accessToken, '200 from memory')
  const late = await start(t)
  await untilTrusted(late.store)
  t.equal(await passage(late, accessToken), 'FST_JWT_STALE from the store')
  const state = await here.store.getSessionState(sessionId)
  t.strictSame([state?.generation, state?.used, state?.version], [1, true, 3], 'one change, one rotation and one mark')
  await here.app.jwt.updateSession(sessionId, { claims: {} })
  await untilPassage(late, next.accessToken, '200 from memory')
}

/**
 * What a feed that falls silent, or is opened in vain, does to the server behind the proxy.
 *
 * @param lose Removes the record of a session, as a failover does that comes before it was copied.
 * @returns Tokens of a session that is there, and of one that was ended.
 */
export async function fallenSilent (t: Test, proxy: SilentProxy, one: Server, other: Server, lose: (sid: string) => Promise<unknown>): Promise<{ valid: string, revoked: string }> {
  await untilTrusted(one.store, other.store)
  const events = revokedSessions(t)
  const { accessToken: revoked, sessionId } = await other.app.jwt.createSession('ada')
  const { accessToken: valid } = await other.app.jwt.createSession('bob')
  for (const token of [revoked, valid]) await untilPassage(one, token, '200 from memory')

  await t.test('after maxStaleness the store is asked, and what was revoked meanwhile is refused; then everything is loaded again', async t => {
    proxy.silence('feeds')
    await other.app.jwt.revokeSession(sessionId)
    await until(() => one.store.replica?.trusted === false, 'no trust')
    t.equal(await passage(one, revoked), 'FST_JWT_REVOKED from the store')
    t.equal(await passage(one, valid), '200 from the store')
    proxy.speak()
    await untilTrusted(one.store)
    t.equal(await passage(one, revoked), 'FST_JWT_REVOKED from memory')
    t.equal(await passage(one, valid), '200 from the store', 'it may be another store that answers now')
    t.equal(await passage(one, valid), '200 from memory')
    t.strictSame(events.filter(event => 'remote' in event), [{ sessionId, cause: null, remote: true }], 'sockets are closed, too')
  })

  await t.test('a connection that is cut is opened again', async t => {
    proxy.cut('feeds')
    await until(() => one.store.replica?.trusted === false, 'no trust')
    await untilTrusted(one.store)
    t.equal(await passage(one, valid), '200 from the store')
    t.equal(await passage(one, valid), '200 from memory')
  })

  await t.test('a session that the store has lost is refused, as a store without a replica refuses it', async t => {
    const { accessToken, sessionId } = await other.app.jwt.createSession('eve')
    await untilPassage(one, accessToken, '200 from memory')
    await lose(sessionId)
    proxy.cut('feeds')
    await until(() => one.store.replica?.trusted === false, 'no trust')
    await untilTrusted(one.store)
    t.equal(await passage(one, accessToken), 'FST_JWT_REVOKED from the store')
  })

  await t.test('attempts to connect to a store that says nothing leave no connections behind', async t => {
    const [before, held] = [proxy.opened(), proxy.connections()]
    proxy.silence('all')
    proxy.cut('feeds')
    await until(() => proxy.opened() >= before + 2, 'a second attempt')
    await until(() => proxy.connections() <= held, 'no more connections than one attempt needs')
    proxy.speak()
    proxy.cut('all')
    await untilTrusted(one.store)
    t.equal(await passage(one, valid), '200 from the store')
    t.equal(await passage(one, valid), '200 from memory')
  })
  return { valid, revoked }
}
