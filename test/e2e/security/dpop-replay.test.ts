import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import * as dpop from 'dpop'
import { Redis } from 'ioredis'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { RedisStore } from '../../../lib/stores/redis/store.ts'
import { jwtRequired } from '../../../lib/index.ts'
import { noRedis, startRedis } from '../../helpers/redis-server.ts'
import { sessionApp } from '../../helpers/session-app.ts'
import type { SessionTokens } from '../../../lib/index.ts'

const portOf = (server: { address (): unknown }): number => (server.address() as AddressInfo).port

/** Sends bytes to a port. @returns The status line and the body of the answer. */
async function replay (port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  let answer = ''
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString()
    // The request asks for a connection that is kept: a whole answer is the end.
    if (/\r\n\r\n.*\}$/s.test(answer)) socket.end()
  })
  await once(socket, 'close')
  return `${/\d{3}/.exec(answer)?.[0]} ${/"code":"(\w+)"/.exec(answer)?.[1]} ${/"message":"([^"]+)"/.exec(answer)?.[1]}`
}

t.test('what a proxy has recorded opens nothing: on the same server, on another with the same store, and with another key', { skip: noRedis }, async t => {
  const { port: redisPort } = await startRedis(t)
  const client = new Redis(redisPort, '127.0.0.1')
  t.teardown(() => { client.disconnect() })
  async function server (): Promise<FastifyInstance> {
    const app = await sessionApp(t, { dpop: 'allowed', store: new RedisStore(client) })
    app.post('/login', async request => app.jwt.createSession('ada', { request }))
    app.get('/secret', { onRequest: jwtRequired }, async request => ({ user: request.jwtIdentity }))
    await app.listen({ port: 0, host: '127.0.0.1' })
    return app
  }
  const [first, second] = [await server(), await server()]

  /** What has gone through the proxy, one text for each connection. */
  const recorded: Buffer[] = []
  const sockets = new Set<Socket>()
  const proxy = createServer(incoming => {
    const outgoing = connect(portOf(first.server), '127.0.0.1')
    const index = recorded.push(Buffer.alloc(0)) - 1
    incoming.on('data', (chunk: Buffer) => { recorded[index] = Buffer.concat([recorded[index] as Buffer, chunk]) })
    incoming.pipe(outgoing).pipe(incoming)
    for (const socket of [incoming, outgoing]) sockets.add(socket.on('error', () => {}))
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    proxy.close()
    for (const socket of sockets) socket.destroy()
  })
  const origin = `http://127.0.0.1:${portOf(proxy)}`

  const key = await dpop.generateKeyPair('ES256')
  const login = await fetch(`${origin}/login`, { method: 'POST', headers: { dpop: await dpop.generateProof(key, `${origin}/login`, 'POST'), connection: 'close' } })
  const { accessToken } = await login.json() as SessionTokens
  const proof = await dpop.generateProof(key, `${origin}/secret`, 'GET', undefined, accessToken)
  const answer = await fetch(`${origin}/secret`, { headers: { authorization: `DPoP ${accessToken}`, dpop: proof, connection: 'close' } })
  t.strictSame(await answer.json(), { user: 'ada' })

  const request = recorded.find(bytes => bytes.includes('GET /secret')) as Buffer
  t.ok(request.includes(accessToken) && request.includes(proof), 'all of it was recorded')
  for (const { server } of [first, second]) t.equal(await replay(portOf(server), request), '401 FST_JWT_DPOP_PROOF Invalid DPoP proof: replayed')
  const loginAgain = recorded.find(bytes => bytes.includes('POST /login')) as Buffer
  for (const { server } of [first, second]) t.equal(await replay(portOf(server), loginAgain), '401 FST_JWT_DPOP_PROOF Invalid DPoP proof: replayed')

  const thief = await dpop.generateProof(await dpop.generateKeyPair('ES256'), `${origin}/secret`, 'GET', undefined, accessToken)
  const stolen = Buffer.from(request.toString('latin1').replace(proof, thief), 'latin1')
  t.equal(await replay(portOf(second.server), stolen), '401 FST_JWT_DPOP_BINDING Invalid DPoP key binding')
  const asBearer = Buffer.from(request.toString('latin1').replace(`DPoP ${accessToken}`, `Bearer ${accessToken}`), 'latin1')
  t.match(await replay(portOf(second.server), asBearer), '401 FST_JWT_DPOP_BINDING')
  t.ok((await client.keys('*')).some(name => name.includes('used:')), 'the store has it')
})
