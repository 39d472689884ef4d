import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import jwt, { crossOriginProtection, jwtRequired } from '../../lib/index.ts'
import type { JwtExtendedOptions } from '../../lib/index.ts'
import { ecKeys, tokenOf } from '../helpers/keys/found-keys-app.ts'
import { secretKey } from '../helpers/protected-app.ts'

/** What an app gets wrong, with a client that chooses when it happens: the rejection must not end the process. */
const answersLater = (async () => { throw new Error('the app has failed') }) as never

const token = tokenOf(ecKeys('a'), { iss: 'https://login.example/acme' })

const cases: ReadonlyArray<readonly [option: string, options: JwtExtendedOptions, request: InjectOptions]> = [
  ['extractToken', { secretKey, extractToken: answersLater }, { url: '/me' }],
  ['trustedOrigins', { secretKey, trustedOrigins: answersLater }, { method: 'POST', url: '/login', headers: { origin: 'https://other.example' } }],
  ['issuers[0].tenants', { issuers: [{ issuer: 'https://login.example/{tenant}', tenants: answersLater }] }, { url: '/me', headers: { authorization: `Bearer ${token}` } }]
]

for (const [option, options, request] of cases) {
  t.test(`'${option}' that answers later is a 500 which the log explains, and its rejection ends nothing`, async t => {
    const lines: string[] = []
    const app = Fastify({ logger: { level: 'error', stream: { write (line: string) { lines.push(line) } } } })
    t.teardown(() => app.close())
    await app.register(jwt, options as never)
    app.get('/me', { preHandler: jwtRequired }, async () => ({}))
    app.post('/login', { preHandler: crossOriginProtection }, async () => ({}))
    const response = await app.inject(request)
    await sleep(1)
    t.equal(response.statusCode, 500)
    t.notMatch(response.body, option)
    t.ok(lines.join('').includes(`option '${option}' must return`), lines.join(''))
  })
}
