import { decodeJwt } from 'jose'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { noPostgres, startPostgres } from '../../helpers/postgres-server.ts'
import { call, startServer } from '../../helpers/server-processes.ts'
import { databasePath, libsql } from '../../helpers/sqlite.ts'
import type { Tokens } from '../../helpers/server-processes.ts'

type Environment = Record<string, string>

async function login (url: string): Promise<Tokens> {
  return (await call<Tokens & Record<string, unknown>>(`${url}/login`, 'POST')).body
}

async function oneSuccessor (t: Test, urls: readonly string[]): Promise<void> {
  const urlOf = (index: number): string => urls[index % urls.length] ?? ''
  const session = await login(urlOf(0))
  const answers = await Promise.all(Array.from({ length: 1000 }, async (_, index) =>
    call<Tokens & Record<string, unknown>>(`${urlOf(index)}/refresh`, 'POST', session.refreshToken)))
  t.strictSame([...new Set(answers.map(({ status }) => status))], [200])
  t.equal(new Set(answers.map(({ body }) => decodeJwt(body.refreshToken).jti)).size, 1)
  const last = answers[0]?.body as Tokens
  t.equal((await call(`${urlOf(1)}/logout`, 'POST', last.accessToken)).status, 200)
  for (const url of urls) t.equal((await call(`${url}/me`, 'GET', last.accessToken)).status, 401)
}

/** What clients know: what they were answered, and nothing else. */
interface Known {
  /** The last tokens that arrived, of logins that nobody has ended. */
  readonly live: Map<string, Tokens>
  /** Of sessions whose logout was answered. */
  readonly ended: Tokens[]
  operations: number
}

/** Logins, rotations and logouts, one after the other in each of eight clients, until the server is gone. */
function startClients (url: string, known: Known): Promise<unknown> {
  return Promise.allSettled(Array.from({ length: 8 }, async () => {
    for (;;) {
      const session = await login(url)
      // A 503, while the store is away.
      if (session.accessToken === undefined) continue
      known.live.set(session.sessionId, session)
      for (let rotation = 0; rotation < 3; rotation++) {
        const { refreshToken } = known.live.get(session.sessionId) as Tokens
        const { status, body } = await call<Tokens & Record<string, unknown>>(`${url}/refresh`, 'POST', refreshToken)
        if (status === 200) known.live.set(session.sessionId, body)
        known.operations++
      }
      if (known.operations % 2 === 0) {
        const tokens = known.live.get(session.sessionId) as Tokens
        // It may be carried out though its answer is lost: then nobody can say.
        known.live.delete(session.sessionId)
        if ((await call(`${url}/logout`, 'POST', tokens.accessToken)).status === 200) known.ended.push(tokens)
      }
    }
  }))
}

async function check (t: Test, url: string, known: Known): Promise<void> {
  const outcomes = { ended: new Set<number>(), live: new Set<number>() }
  for (const { accessToken, refreshToken } of known.ended) {
    outcomes.ended.add((await call(`${url}/me`, 'GET', accessToken)).status).add((await call(`${url}/refresh`, 'POST', refreshToken)).status)
  }
  for (const { refreshToken } of known.live.values()) outcomes.live.add((await call(`${url}/refresh`, 'POST', refreshToken)).status)
  t.comment(`${known.operations} rotations, ${known.ended.length} logouts, ${known.live.size} logins that live`)
  t.ok(known.ended.length >= 20 && known.live.size >= 12, 'there was something to lose')
  t.strictSame([...outcomes.ended], [401], 'no token that was revoked passes')
  t.strictSame([...outcomes.live], [200], 'nobody whose answer had arrived is signed out')
}

async function survives (t: Test, env: Environment, crash: (kill: () => Promise<void>) => Promise<void>): Promise<void> {
  const known: Known = { live: new Map(), ended: [], operations: 0 }
  const first = await startServer(t, env)
  const clients = startClients(first.url, known)
  // However slow the machine is: until there is something to lose.
  while (known.ended.length < 20 || known.live.size < 20) await sleep(50)
  await crash(first.kill)
  await first.kill()
  await clients
  await check(t, (await startServer(t, env)).url, known)
}

t.test('on one SQLite file', { timeout: 300_000 }, async t => {
  const workers = startServer(t, { SQLITE_FILE: await databasePath(t) }, 8)

  await t.test('eight processes: 1,000 rotations of one refresh token at once have one successor, and what one ends is refused by all', async t => {
    const { urls } = await workers
    t.equal(new Set(urls).size, 8)
    await oneSuccessor(t, urls)
  })

  await t.test('eight workers of node:cluster: what one revokes, the next request to any other refuses', async t => {
    const { urls } = await workers
    for (const [index, url] of urls.entries()) {
      const { accessToken } = await login(url)
      t.equal((await call(`${urls[(index + 1) % 8]}/me`, 'GET', accessToken)).status, 200)
      t.equal((await call(url + (index % 2 === 0 ? '/revoke' : '/logout'), 'POST', accessToken)).status, 200)
      for (const other of urls) t.equal((await call(`${other}/me`, 'GET', accessToken)).status, 401)
    }
  })

  await t.test('kill -9 in the middle of it: what was answered holds, and the file is whole', { skip: libsql.missing }, async t => {
    const path = await databasePath(t)
    await survives(t, { SQLITE_FILE: path }, async kill => kill())
    const database = libsql.open(path)
    t.match(database.prepare('PRAGMA integrity_check').all(), [{ integrity_check: 'ok' }])
    database.close()
  })
})

t.test('on one PostgreSQL', { skip: noPostgres, timeout: 300_000 }, async t => {
  const server = await startPostgres(t)
  const env = { POSTGRES_URL: server.url }

  await t.test('four processes: 1,000 rotations of one refresh token at once have one successor, and what one ends is refused by all', async t => {
    const { urls } = await startServer(t, env, 4)
    await oneSuccessor(t, urls)
  })

  await t.test('kill -9 of the server in the middle of it: what was answered holds', async t => {
    await survives(t, env, async kill => kill())
  })

  await t.test('kill -9 of PostgreSQL in the middle of it: what was answered holds', async t => {
    await survives(t, env, async () => {
      await server.kill()
      await sleep(200)
      await server.restart()
    })
  })
})
