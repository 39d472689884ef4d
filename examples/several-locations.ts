// One API for a website (cookies), a mobile app (header), a download link (query string) and a form (JSON body).
//
//   npm run build && node --import ./scripts/typescript.js examples/several-locations.ts
import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired, verifyJwt } from 'fastify-jwt-extended'

const app = Fastify()
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32),
  // In order of precedence: the first place that holds a token decides, also if that token is bad and a later one is good. Only a token
  // in a cookie is checked for CSRF, since only cookies are sent by a browser on its own.
  tokenLocation: ['headers', 'cookies', 'json']
})

app.post<{ Body: { username: string } }>('/login', async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  const accessToken = app.jwt.createAccessToken(request.body.username)
  app.jwt.setAccessCookies(reply, accessToken)
  return {
    access_token: accessToken,
    // A link stays in histories and logs, so its token is good for one minute.
    download: `/report?jwt=${app.jwt.createAccessToken(request.body.username, { expiresIn: '1m' })}`
  }
})

// preHandler, since the body has to be there: in onRequest this would stop start-up.
app.route({ method: ['GET', 'POST'], url: '/protected', preHandler: jwtRequired, handler: async request => ({ user: request.jwtIdentity, found: request.jwtLocation }) })

// A route's own locations go before those of the app. The query string is for this one alone.
app.get('/report', { preHandler: verifyJwt({ locations: ['headers', 'queryString'] }) }, async request => ({
  report: `of ${request.jwtIdentity}`, found: request.jwtLocation
}))

// No token from a cookie here, whatever the browser sends.
app.get('/only-headers', { preHandler: verifyJwt({ locations: 'headers' }) }, async request => ({ user: request.jwtIdentity }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -c jar -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -b jar ${url}/protected
  curl -H 'Authorization: Bearer <the access_token>' ${url}/protected
  curl -H 'Content-Type: application/json' -d '{"access_token":"<the access_token>"}' ${url}/protected
  curl '${url}<the download>'`)
