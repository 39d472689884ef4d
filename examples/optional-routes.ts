// One route for members and visitors.
//
//   npm run build && node --import ./scripts/typescript.js examples/optional-routes.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtOptional, verifyJwt } from 'fastify-jwt-extended'

const app = Fastify()
// Without JWT_SECRET_KEY a random secret, and all logins end with this process.
await app.register(jwt, { secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32) })

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  reply.header('Cache-Control', 'no-store')
  return { access_token: app.jwt.createAccessToken(request.body.username) }
})

// A page for everybody, which greets those who are logged in. Who has an expired token is a visitor.
app.get('/feed', { preHandler: jwtOptional }, async request => (
  request.jwtIdentity === null ? { feed: 'public' } : { feed: `personalized for ${request.jwtIdentity}` }
))

// Without a token one is a visitor, but a bad token is refused, so that the client learns that it must refresh. This is Flask-JWT-Extended's jwt_required(optional=True).
app.get('/cart', { preHandler: verifyJwt({ optional: 'strict' }) }, async request => ({ cart: request.jwtIdentity ?? 'of a visitor' }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl ${url}/feed
  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/feed
  curl -H 'Authorization: Bearer <the access_token>' ${url}/cart`)
