// Login by cookie, for a site: the browser keeps both tokens where no script can read them.
//
//   npm run build && node --import ./scripts/typescript.js examples/jwt-cookies.ts
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import jwt, { crossOriginProtection, jwtRequired, refreshTokenRequired } from 'fastify-jwt-extended'

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

// Behind a proxy that ends TLS, set `trustProxy`, or cookies are not marked Secure.
const app = Fastify()
await app.register(jwt, {
  secretKey,
  tokenLocation: 'cookies',
  // The browser sends the refresh token to the one route that needs it, and nowhere else.
  refreshCookiePath: '/refresh'
})

// There is no token yet, and so no CSRF check. Without crossOriginProtection, a page of another site could log its visitors in here
// as somebody else.
app.post<{ Body: Credentials }>('/login', {
  preHandler: crossOriginProtection, schema: { body: credentials }
}, async (request, reply) => {
  const { username, password } = request.body
  if (!await passwordMatches(username, password)) {
    // The same answer for a wrong name and a wrong password.
    return reply.code(401).send({ statusCode: 401, error: 'Unauthorized', message: 'Wrong username or password' })
  }
  app.jwt.setAccessCookies(reply, app.jwt.createAccessToken(username, { fresh: true }))
  app.jwt.setRefreshCookies(reply, app.jwt.createRefreshToken(username))
  return { login: true }
})

app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

app.post('/refresh', { preHandler: refreshTokenRequired }, async (request, reply) => {
  // Not fresh: nobody gave a password for this one. The identity is there, since the hook has passed.
  app.jwt.setAccessCookies(reply, app.jwt.createAccessToken(request.jwtIdentity as string, { fresh: false }))
  return { refresh: true }
})

// Refuses the access token from now on, and clears the cookies. The refresh token is not sent here, so a copy of it would still be good:
// examples/rotation-cookies.ts ends it, too.
app.post('/logout', { preHandler: crossOriginProtection }, async (request, reply) => {
  await app.jwt.clearSession(request, reply)
  return { logout: true }
})

// Logout reads the jar from its standard input: curl 7.88 keeps a cookie that it was told to delete when
// it has the name of the jar's file twice.
const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -c jar -H 'Content-Type: application/json' -d '{"username":"user123","password":"correct horse battery staple"}' ${url}/login
  curl -b jar ${url}/protected
  curl -b jar -c jar -X POST ${url}/refresh
  curl -b - -c jar -X POST ${url}/logout < jar
  curl -b jar ${url}/protected`)
