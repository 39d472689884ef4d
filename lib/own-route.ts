import type { FastifyRequest } from 'fastify'

/** In the config of a route that this package has added: its public keys, device binding, the metadata of a resource server. */
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
