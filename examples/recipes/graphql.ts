// GraphQL with mercurius: resolvers know who asks, some need a role, and a subscription ends with its session.
//
//   npm run build && node --import ./scripts/typescript.js examples/recipes/graphql.ts
import { randomBytes } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import jwt, { authenticationOf, refreshTokenRequired } from 'fastify-jwt-extended'
import mercurius from 'mercurius'
import type { JwtClaims, JwtError, JwtEvents } from 'fastify-jwt-extended'
import type { MercuriusContext } from 'mercurius'
import type { WebSocket } from '@fastify/websocket'

const app = Fastify()
// Without JWT_SECRET_KEY a random secret, and all logins end with this process.
await app.register(jwt, { secretKey: process.env.JWT_SECRET_KEY ?? randomBytes(32) })
// Before mercurius, which takes the sockets of this one.
await app.register(websocket, { options: { maxPayload: 64 * 1024 } })

/** Who asks, or why nobody does. */
type Asker = { claims: JwtClaims } | { refusal: JwtError }

/** Of a query or mutation `asker`, of a subscription the rest, and `asker` once its token was judged. */
declare module 'mercurius' {
  interface MercuriusContext {
    asker: Asker
    socket: WebSocket
    /** As the client has sent it, whatever it is. */
    token: unknown
  }
}

/** Keeps a refusal for the fields that need a login: all others are answered. A store that does not answer is an error of the whole. */
async function judge (verdict: () => Promise<JwtClaims>): Promise<Asker> {
  try {
    return { claims: await verdict() }
  } catch (error) {
    const refusal = error as JwtError
    if (refusal.statusCode !== 401) throw error
    return { refusal }
  }
}

/** The error of a resolver: its code comes to the client as `extensions.code`. */
function refuse ({ message, code }: Pick<JwtError, 'message' | 'code'>): never {
  throw new mercurius.ErrorWithProps(message, { code })
}

/** For a resolver that needs a login. */
function loggedIn ({ asker }: MercuriusContext): JwtClaims {
  return 'claims' in asker ? asker.claims : refuse(asker.refusal)
}

/** For a resolver that needs a role. */
function withRole (context: MercuriusContext, role: string): JwtClaims {
  const claims = loggedIn(context)
  return claims.role === role ? claims : refuse({ message: `Missing role: ${role}`, code: 'FST_JWT_FORBIDDEN' })
}

const admins = new Set(['ada'])

// What needs a login may be null, so that its error leaves the rest of the answer.
const schema = `
  type Query { motto: String!  me: String }
  type Mutation { announce (text: String!): Boolean  makeAdmin (name: String!): Boolean }
  type Subscription { announced: String }
`

await app.register(mercurius, {
  schema,
  resolvers: {
    Query: {
      motto: () => 'Read by everybody',
      me: (_root, _args, context) => loggedIn(context).identity
    },
    Mutation: {
      async announce (_root, { text }: { text: string }, context) {
        const { identity } = withRole(context, 'admin')
        await context.pubsub.publish({ topic: 'announced', payload: { announced: `${identity}: ${text}` } })
        return true
      },
      async makeAdmin (_root, { name }: { name: string }, context) {
        withRole(context, 'admin')
        admins.add(name)
        // Access tokens with the old role are refused from now on; its clients refresh, and nobody is logged out.
        await app.jwt.updateAllSessions(name, { claims: { role: 'admin' }, now: true })
        return true
      }
    },
    Subscription: {
      announced: { subscribe: async (_root, _args, { pubsub }) => pubsub.subscribe('announced') }
    }
  },
  context: async request => ({
    asker: await judge(async () => {
      await request.verifyJwt()
      return authenticationOf(request).claims
    })
  }),
  subscription: {
    context: socket => ({ socket }),
    // A browser can set no header of a WebSocket: connection_init brings { "accessToken": "…" }. It is judged when it is needed.
    onConnect: ({ payload }: { payload?: { accessToken?: unknown } }) => ({ token: payload?.accessToken })
  }
})

/** The tokens by which the subscriptions of a socket were allowed, each with its session. */
const held = new WeakMap<WebSocket, Map<string, string | undefined>>()

// For every subscription: a socket may stay open long after connection_init, and a subscription may bring a token of its own.
app.graphql.addHook('preSubscriptionExecution', async (_schema, _document, context) => {
  const token = context.token as string
  context.asker = await judge(async () => (await app.jwt.authenticate(token)).claims)
  const tokens = held.get(context.socket) ?? new Map<string, string | undefined>()
  held.set(context.socket, tokens.set(token, loggedIn(context).sid))
})

/** Clients of graphql-ws connect again after 4403, and ask for the token anew. After 4401 they would give up. */
const forbidden = 4403
/** The store does not answer: nobody can know who has logged out (RFC 6455 and IANA: Try Again Later). */
const tryAgainLater = 1013

// At once, if the session ends on this server.
subscribe('fastify-jwt-extended:session.revoked', event => {
  const { sessionId } = event as JwtEvents['session.revoked']
  for (const socket of app.websocketServer.clients) {
    if ([...held.get(socket)?.values() ?? []].includes(sessionId)) socket.close(forbidden, 'FST_JWT_REVOKED')
  }
})

// Within a second, if its token has expired, its claims have changed (`updateSession` with `now: true`), or, with a store that is shared,
// the session has ended on another server. It costs one query of the store for each token.
const timer = setInterval(async () => {
  for (const socket of app.websocketServer.clients) {
    for (const token of held.get(socket)?.keys() ?? []) {
      try {
        await app.jwt.authenticate(token)
      } catch (error) {
        const { statusCode, code } = error as JwtError
        socket.close(statusCode === 401 ? forbidden : tryAgainLater, code)
      }
    }
  }
}, 1000)
app.addHook('onClose', async () => { clearInterval(timer) })

app.post<{ Body: { username: string } }>('/login', async ({ body: { username } }) =>
  // This lets everybody in: check a password first, as examples/jwt-auth.ts does.
  app.jwt.createSession(username, { claims: { role: admins.has(username) ? 'admin' : 'member' } }))
app.post('/refresh', { preHandler: refreshTokenRequired }, async request => app.jwt.rotateSession(request))
app.post('/logout', async (request, reply) => ({ logout: await app.jwt.clearSession(request, reply) }))

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/login
  curl -H 'Content-Type: application/json' -H 'Authorization: Bearer <access token>' -d '{"query":"{ motto me }"}' ${url}/graphql`)
