import type { FastifyRequest, FastifySchema } from 'fastify'

/** Marks the config of a route that this package adds: public keys, metadata of a resource server, device binding. */
export const kOwnRoute = Symbol.for('fastify-jwt-extended.ownRoute.1')

declare module 'fastify' {
  interface FastifyContextConfig {
    [kOwnRoute]?: true
  }
}

/**
 * Whether a request is for a route of this package. Hooks and guards let it pass, even if an app has put them on all of its
 * routes: a client that fetches keys, or proves its device, has no access token yet.
 */
export function isForOwnRoute (request: FastifyRequest): boolean {
  return request.routeOptions.config?.[kOwnRoute] === true
}

/** `hide` keeps the route out of the document of @fastify/swagger. */
const schema: FastifySchema & { hide: boolean } = { hide: true }

/** The route options of a document that everyone may read. */
export const publicRoute = { method: 'GET', exposeHeadRoute: true, config: { jwt: false, [kOwnRoute]: true }, schema } as const
