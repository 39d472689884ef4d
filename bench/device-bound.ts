// What a request costs in a session that is bound to a device, beside one in a session that is not. Both take turns, so that a busy
// machine slows down both:
//
//   npm run build && node --import ./scripts/typescript.js bench/device-bound.ts
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'
import { bound, signedIn } from '../test/helpers/bound-app.ts'

const rounds = 200
const requests = 200

const app = Fastify({ trustProxy: true })
await app.register(jwt, { secretKey: 'a-secret-of-more-than-thirty-two-bytes', tokenLocation: 'cookies', deviceBinding: true })
app.post('/login', async (_request, reply) => {
  app.jwt.setSessionCookies(reply, await app.jwt.createSession('ada'))
  return {}
})
app.get('/', { onRequest: jwtRequired }, async () => ({ hello: 'world' }))
await app.ready()

const cookies = [await signedIn(app), await bound(app)].map(browser => `access_token_cookie=${browser.cookies.get('access_token_cookie')}`)

/** Microseconds for one request. */
async function measure (cookie: string): Promise<number> {
  const start = process.hrtime.bigint()
  for (let index = 0; index < requests; index++) {
    const { statusCode } = await app.inject({ url: '/', headers: { cookie } })
    if (statusCode !== 200) throw new Error(`Answered ${statusCode}`)
  }
  return Number(process.hrtime.bigint() - start) / 1000 / requests
}

const times: number[][] = [[], []]
for (let round = 0; round < rounds; round++) {
  for (const which of round % 2 === 0 ? [0, 1] : [1, 0]) times[which]?.push(await measure(cookies[which] as string))
}
const [unbound = 0, inBound = 0] = times.map(list => list.sort((a, b) => a - b)[Math.floor(list.length / 4)] as number)
console.log(`unbound ${unbound.toFixed(1)} µs, bound ${inBound.toFixed(1)} µs a request (inject, lower quartile of ${rounds} rounds): ${((inBound / unbound - 1) * 100).toFixed(1)} % more`)
await app.close()
