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
  // Whoever asks is let in: check a password before this line, as examples/jwt-auth.ts does.
  reply.header('Cache-Control', 'no-store')
  return { access_token: app.jwt.createAccessToken(request.body.username) }
})

// A page that anyone may see and that greets who is known: an expired token makes a visitor of its holder.
app.get('/feed', { preHandler: jwtOptional }, async request => (
  request.jwtIdentity === null ? { feed: 'public' } : { feed: `personalized for ${request.jwtIdentity}` }
))

// Where a client should learn that its token has expired, and refresh it, rather than be served as a stranger: only
// no token at all makes a visitor, a bad one is refused. This is Flask-JWT-Extended's jwt_required(optional=True).
app.get('/cart', { preHandler: verifyJwt({ optional: 'strict' }) }, async request => ({ cart: request.jwtIdentity ?? 'of a visitor' }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl ${url}/feed
  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/feed
  curl -H 'Authorization: Bearer <the access_token>' ${url}/cart`)
