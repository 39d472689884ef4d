import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { plainEnvironment, withTypes } from '../helpers/example-process.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Answers with the status of a good, a forged, an expired and a malformed token, each sent twice. */
const program = `
import Fastify from 'fastify'
import jwt, { jwtRequired } from './lib/index.ts'
const app = Fastify()
await app.register(jwt, { secretKey: 'a secret of at least thirty-two bytes' })
app.get('/', { preHandler: jwtRequired }, async request => request.jwtIdentity)
const token = app.jwt.createAccessToken('ada')
const tokens = [token, token.replace(/.{4}$/, 'AAAA'), app.jwt.createAccessToken('ada', { expiresIn: -1 }), 'a.b.c', '']
const statuses = []
for (const sent of [...tokens, ...tokens]) {
  const { statusCode } = await app.inject({ url: '/', headers: { authorization: 'Bearer ' + sent } })
  statuses.push(statusCode)
}
console.log(JSON.stringify(statuses))
await app.close()
`

t.test('with frozen intrinsics every token gets its verdict', async t => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--frozen-intrinsics', ...withTypes, '--input-type=module', '--eval', program
  ], { cwd: root, env: plainEnvironment() })
  t.strictSame(JSON.parse(stdout), [200, 401, 401, 401, 400, 200, 401, 401, 401, 400])
})
