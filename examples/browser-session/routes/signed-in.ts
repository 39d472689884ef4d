import type { FastifyRequest } from 'fastify'

/** Who a request comes from, once a hook has let it in. */
export interface SignedIn {
  name: string
  sessionId: string
}

/** @throws {Error} When the route has no hook: a mistake in this program, and not the visitor's. */
export function signedIn ({ jwtClaims }: FastifyRequest): SignedIn {
  if (jwtClaims?.sid === undefined) throw new Error('This route needs jwtRequired, and a token of a session')
  return { name: jwtClaims.identity, sessionId: jwtClaims.sid }
}
