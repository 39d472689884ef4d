import { mock } from 'node:test'
import t from 'tap'
import { sendTogether } from '../../../../lib/stores/redis/together.ts'

type Results = Array<[Error | null, unknown]> | null

/** A client that keeps what it was sent. */
function recording (exec: (commands: unknown[][]) => Promise<Results>): { sent: unknown[], client: Parameters<typeof sendTogether>[0] } {
  const sent: unknown[] = []
  return {
    sent,
    client: {
      async call (command, args) {
        sent.push([command, ...args])
        return `reply to ${command}`
      },
      pipeline (commands) {
        sent.push(commands)
        return { exec: async () => exec(commands) }
      }
    }
  }
}

t.test('commands of one turn go out together, each with its own reply or error', async t => {
  const failed = new Error('WRONGTYPE')
  const { sent, client } = recording(async () => [[null, 'one'], [failed, null], [null, null]])
  const send = sendTogether(client)
  const results = await Promise.allSettled([send('EXISTS', ['a']), send('HMGET', ['b', 'c']), send('GET', ['d'])])
  t.strictSame(results, [
    { status: 'fulfilled', value: 'one' }, { status: 'rejected', reason: failed }, { status: 'fulfilled', value: null }
  ])
  t.strictSame(sent, [[['call', 'EXISTS', 'a'], ['call', 'HMGET', 'b', 'c'], ['call', 'GET', 'd']]])
})

t.test('a command that is alone goes out alone', async t => {
  const { sent, client } = recording(async () => [])
  const send = sendTogether(client)
  t.equal(await send('EXISTS', ['a']), 'reply to EXISTS')
  t.equal(await send('GET', ['a']), 'reply to GET')
  t.strictSame(sent, [['EXISTS', 'a'], ['GET', 'a']])
})

t.test('no command stays without an answer: the client has no pipeline, answers too little, fails, or throws', async t => {
  const { client: { call } } = recording(async () => [])
  const plain = sendTogether({ call })
  t.strictSame(await Promise.all([plain('GET', ['a']), plain('SET', ['a', 'b'])]), ['reply to GET', 'reply to SET'])

  const broken: Array<() => Promise<Results>> = [
    async () => null,
    async () => [],
    async () => { throw new Error('gone') },
    () => { throw new Error('gone') }
  ]
  for (const exec of broken) {
    const send = sendTogether(recording(exec).client)
    const results = await Promise.allSettled([send('GET', ['a']), send('GET', ['b'])])
    t.strictSame(results.map(({ status }) => status), ['rejected', 'rejected'])
  }
  const throwing = sendTogether({ call () { throw new Error('gone') } })
  await t.rejects(throwing('GET', ['a']), /gone/)
})

t.test('a test that fakes all timers gets its replies', async t => {
  t.teardown(() => { mock.timers.reset() })
  mock.timers.enable({ apis: ['setImmediate'] })
  const send = sendTogether(recording(async () => []).client)
  t.equal(await send('PING', []), 'reply to PING')
})
