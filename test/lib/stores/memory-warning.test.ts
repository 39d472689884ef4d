import cluster from 'node:cluster'
import t from 'tap'
import type { Test } from 'tap'
import { MemoryStore } from '../../../lib/index.ts'
import { sessionApp } from '../../helpers/session-app.ts'
import type { JwtExtendedOptions } from '../../../lib/index.ts'

/** What an app logs at start-up, with these variables in its environment. */
async function logged (t: Test, environment: Record<string, string>, options: JwtExtendedOptions = {}, nested = false): Promise<Array<{ level: number, msg: string }>> {
  Object.assign(process.env, environment)
  const lines: string[] = []
  const app = await sessionApp(t, options, { logger: { level: 'debug', stream: { write (line: string) { lines.push(line) } } } })
  if (nested) await app.register(async child => { await child.register((await import('../../../lib/index.ts')).default, { secretKey: 'another secret of the tests, of 32 bytes' }) })
  await app.ready()
  for (const name of Object.keys(environment)) delete process.env[name]
  return lines.map(line => JSON.parse(line) as { level: number, msg: string })
}

const warn = 40
const error = 50

t.test('the default store says in production what a restart loses, once, and what helps', async t => {
  const lines = await logged(t, { NODE_ENV: 'production' }, {}, true)
  t.equal(lines.length, 1, 'a nested registration shares the store')
  t.match(lines[0], { level: warn, msg: /a restart signs everybody out.*new SqliteStore\(database\).*store: false/s })
})

t.test('it says louder what several processes lose', async t => {
  t.match(await logged(t, { NODE_APP_INSTANCE: '0' }), [{ level: error, msg: /one process of several.*passes in the others.*SqliteStore/s }])
  const { isWorker } = cluster
  Object.assign(cluster, { isWorker: true })
  t.teardown(() => { Object.assign(cluster, { isWorker }) })
  t.match(await logged(t, { NODE_ENV: 'production' }), [{ level: error, msg: /one process of several/ }])
})

t.test('it says nothing elsewhere, nor of a store that was chosen', async t => {
  t.strictSame(await logged(t, {}), [])
  const store = new MemoryStore()
  t.teardown(() => store.close())
  t.strictSame(await logged(t, { NODE_ENV: 'production' }, { store }), [])
  t.strictSame(await logged(t, { NODE_ENV: 'production' }, { store: false }), [])
})
