// Tokens in one file: a login returns one, and a route requires one.
//
//   npm run build && node --import ./scripts/typescript.js examples/quickstart.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'

// One secret for all processes that share logins, at least 32 bytes, from outside the code.
// A random one works too, but every token ends with the process.
const secretKey = process.env.JWT_SECRET_KEY ?? randomBytes(32)
if (typeof secretKey !== 'string') console.warn('JWT_SECRET_KEY is not set: using a random secret, gone when this process ends')

const app = Fastify()
await app.register(jwt, { secretKey })

// This lets everybody in: check a password first, as examples/jwt-auth.ts does.
app.post('/login', async () => ({ access_token: app.jwt.createAccessToken('user123') }))

app.get('/protected', { preHandler: jwtRequired }, async request => ({ user: request.jwtIdentity }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -X POST ${url}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/protected`)
