import type { FastifyRequest, FastifySchema } from 'fastify'

/** In the config of a route. */
const kPublicRoute = Symbol.for('fastify-jwt-extended.publicRoute.1')

declare module 'fastify' {
  interface FastifyContextConfig {
    [kPublicRoute]?: true
  }
}

/**
 * Whether a request is for a document of ours that everyone may read: the public keys, or the metadata of a resource server. Hooks and
 * guards let it pass, even if an app has put them on all of its routes: a client that asks has no token yet.
 */
export function isPublicRoute (request: FastifyRequest): boolean {
  return request.routeOptions.config?.[kPublicRoute] === true
}

/** `hide` keeps the route out of the document of @fastify/swagger. */
const schema: FastifySchema & { hide: boolean } = { hide: true }

/** What such a route is declared with. */
export const publicRoute = { method: 'GET', exposeHeadRoute: true, config: { jwt: false, [kPublicRoute]: true }, schema } as const
