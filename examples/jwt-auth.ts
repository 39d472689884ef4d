// Login by header, for an API or a mobile app: the client keeps two tokens, sends the access token with
// each request, and gets a new one for the refresh token when it has expired.
//
//   npm run build && node --import ./scripts/typescript.js examples/jwt-auth.ts
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import jwt, { freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired } from 'fastify-jwt-extended'

// Salt and hash of each password, as a database would keep them (node:crypto's scrypt, RFC 7914).
const users = new Map([
  ['user123', { salt: 'KcXLS5Q8aMcebRoh4MWAVA', hash: 'T7-iNDogTC627gZ5NxRH7bjBgpHbuRn2HwUcLdAC9zg' }],
  ['user456', { salt: 'sor5syW8GH_4Kt_7XfmDWQ', hash: 'bBfcy6hWitJotqs6nDRnnwbs7cP95QKTDeUi2wbkOTs' }]
])
// Compared with the password of an unknown user: no password has this hash.
const nobody = { salt: randomBytes(16).toString('base64url'), hash: randomBytes(32).toString('base64url') }

const derive = promisify<string, Buffer, number, Buffer>(scrypt)

/** Takes as long for an unknown user as for a wrong password, so that nobody can find out names by the time it takes. */
async function passwordMatches (username: string, password: string): Promise<boolean> {
  const { salt, hash } = users.get(username) ?? nobody
  const expected = Buffer.from(hash, 'base64url')
  return timingSafeEqual(await derive(password, Buffer.from(salt, 'base64url'), expected.length), expected)
}

interface Credentials { username: string, password: string }

const credentials = {
  type: 'object',
  required: ['username', 'password'],
  // A limit on what is hashed: scrypt is slow on purpose.
  properties: { username: { type: 'string', maxLength: 100 }, password: { type: 'string', maxLength: 200 } }
}

// One secret for all processes that share logins, at least 32 bytes, from outside the code.
const secretKey = process.env.JWT_SECRET_KEY ?? randomBytes(32)
if (typeof secretKey !== 'string') console.warn('JWT_SECRET_KEY is not set: using a random secret, so all logins end with this process')

const app = Fastify()
await app.register(jwt, {
  secretKey,
  // A stolen access token is good for this long. Keep it short: to refresh is one request.
  accessExpires: '15m',
  refreshExpires: '30 days'
})

app.post<{ Body: Credentials }>('/login', { schema: { body: credentials } }, async (request, reply) => {
  const { username, password } = request.body
  if (!await passwordMatches(username, password)) {
    // The same answer for a wrong name and a wrong password.
    return reply.code(401).send({ statusCode: 401, error: 'Unauthorized', message: 'Wrong username or password' })
  }
  // No cache may keep an answer with a token in it (RFC 6749 §5.1).
  reply.header('Cache-Control', 'no-store')
  return {
    // Fresh: the password was given just now.
    access_token: app.jwt.createAccessToken(username, { fresh: true }),
    refresh_token: app.jwt.createRefreshToken(username)
  }
})

app.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
  reply.header('Cache-Control', 'no-store')
  // Not fresh: nobody gave a password for this one. The identity is there, since the hook has passed.
  return { access_token: app.jwt.createAccessToken(request.jwtIdentity as string, { fresh: false }) }
})

app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

app.get('/feed', { preHandler: jwtOptional }, async request => ({
  feed: request.jwtIdentity === null ? 'public' : `personalized for ${request.jwtIdentity}`
}))

// Only the token of a login passes, and not one that a stolen refresh token has brought.
app.post('/change-password', { preHandler: freshJwtRequired }, async () => ({ status: 'password changed' }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"user123","password":"correct horse battery staple"}' ${url}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/protected
  curl -X POST -H 'Authorization: Bearer <the access_token>' ${url}/change-password
  curl -X POST -H 'Authorization: Bearer <the refresh_token>' ${url}/refresh`)
