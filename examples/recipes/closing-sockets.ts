// WebSockets that close when their session ends, on whichever server the user logs out, and when their token expires.
//
// Start it as often as you like on other ports, with the same JWT_SECRET_KEY and DATA_FOLDER.
//
//   npm run build && node --import ./scripts/typescript.js examples/recipes/closing-sockets.ts
import { randomBytes } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import { join } from 'node:path'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import jwt, { crossOriginProtection, jwtRequired } from 'fastify-jwt-extended'
import { SqliteStore } from 'fastify-jwt-extended/sqlite'
import { openDatabase } from '../browser-session/database.ts'
import type { JwtError, JwtEvents } from 'fastify-jwt-extended'
import type {} from '@fastify/cookie'
import type { WebSocket } from '@fastify/websocket'

const app = Fastify()
const database = await openDatabase(join(process.env.DATA_FOLDER ?? '.', 'sockets.db'))
const store = new SqliteStore(database)
app.addHook('onClose', async () => {
  store.close()
  database.close()
})
await app.register(websocket)
await app.register(jwt, {
  // Without JWT_SECRET_KEY a random secret, and all logins end with this process.
  secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32),
  tokenLocation: 'cookies',
  store
})

/** The token of each socket that is open, and the session it belongs to. */
const open = new Map<WebSocket, { token: string, sessionId: string | undefined }>()

/** The codes 4000 to 4999 are an app's own. The page refreshes, and opens a new socket. */
const unauthorized = 4401
/** The store does not answer: nobody can know who has logged out (RFC 6455 and IANA: Try Again Later). */
const tryAgainLater = 1013

// At once, if the session ends on this server.
subscribe('fastify-jwt-extended:session.revoked', event => {
  const { sessionId } = event as JwtEvents['session.revoked']
  for (const [socket, entry] of open) {
    if (entry.sessionId === sessionId) socket.close(unauthorized, 'FST_JWT_REVOKED')
  }
})

// Within a second, if it ends on another one. The same question finds the tokens that have expired, and what isRevoked, verifyClaims
// and userLookup say. It costs one query of the store for each socket.
const timer = setInterval(async () => {
  for (const [socket, { token }] of open) {
    try {
      await app.jwt.authenticate(token)
    } catch (error) {
      const { statusCode, code } = error as JwtError
      socket.close(statusCode === 401 ? unauthorized : tryAgainLater, code)
    }
  }
}, 1000)
app.addHook('onClose', async () => { clearInterval(timer) })

app.get('/live', { websocket: true, onRequest: jwtRequired }, (socket, request) => {
  open.set(socket, { token: request.cookies['access_token_cookie'] as string, sessionId: request.jwtClaims?.sid })
  socket.on('close', () => { open.delete(socket) })
  socket.send(`hello ${request.jwtIdentity}`)
})

app.post<{ Body: { username: string } }>('/login', { preHandler: crossOriginProtection }, async (request, reply) => {
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  app.jwt.setSessionCookies(reply, await app.jwt.createSession(request.body.username))
  return { login: true }
})

app.post('/logout', async (request, reply) => ({ logout: await app.jwt.clearSession(request, reply) }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -c jar -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -b jar -X POST ${url}/logout`)
