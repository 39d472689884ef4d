// A new password ends every other login of the user: whoever knew the old one is out, on every server, at once.
//
//   npm run build && node --import ./scripts/typescript.js examples/recipes/password-change.ts
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import jwt, { freshJwtRequired, jwtRequired } from 'fastify-jwt-extended'

const derive = promisify<string, Buffer, number, Buffer>(scrypt)

interface Password { salt: Buffer, hash: Buffer }

async function hashed (password: string, salt: Buffer = randomBytes(16)): Promise<Password> {
  return { salt, hash: await derive(password.normalize('NFKC'), salt, 32) }
}

// Stands for your table of users. ADAS_PASSWORD is the password to begin with.
const users = new Map([['ada', await hashed(process.env.ADAS_PASSWORD ?? randomBytes(16).toString('hex'))]])
// What an unknown user is compared with, so that it takes as long.
const nobody = await hashed(randomBytes(16).toString('hex'))

async function isPassword (name: string, password: string): Promise<boolean> {
  const { salt, hash } = users.get(name) ?? nobody
  return timingSafeEqual((await hashed(password, salt)).hash, hash)
}

const app = Fastify()
// Without JWT_SECRET_KEY a random secret, and all logins end with this process.
await app.register(jwt, { secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32) })

const password = { type: 'string', minLength: 12, maxLength: 200 }
const credentials = { type: 'object', required: ['name', 'password'], properties: { name: { type: 'string', maxLength: 100 }, password } }

app.post<{ Body: { name: string, password: string } }>('/login', { schema: { body: credentials } }, async (request, reply) => {
  const { name, password } = request.body
  if (!await isPassword(name, password)) return reply.code(401).send({ message: 'Wrong name or password' })
  reply.header('cache-control', 'no-store')
  return await app.jwt.createSession(name)
})

app.get('/me', { preHandler: jwtRequired }, async request => ({ name: request.jwtIdentity }))

// Fresh: the password was given a moment ago, so this is the user, and not whoever has found the phone.
app.post<{ Body: { password: string } }>('/password', {
  preHandler: freshJwtRequired,
  schema: { body: { type: 'object', required: ['password'], properties: { password } } }
}, async request => {
  const name = request.jwtIdentity as string
  // First the password, then the logins: the other way round, a login with the old password could slip in between.
  users.set(name, await hashed(request.body.password))
  // Without `except` this login ends, too. Tokens of createAccessToken belong to no session, and go on.
  return { ended: await app.jwt.revokeAllSessions(name, { except: request.jwtClaims?.sid }) }
})

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url} with ADAS_PASSWORD

  curl -H 'Content-Type: application/json' -d '{"name":"ada","password":"<ADAS_PASSWORD>"}' ${url}/login
  curl -H 'Authorization: Bearer <the accessToken>' -H 'Content-Type: application/json' -d '{"password":"a new and longer one"}' ${url}/password`)
