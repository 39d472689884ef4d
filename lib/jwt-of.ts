import { defaultErrors } from './errors.ts'
import { kJwt } from './registration.ts'
import type { JwtExtended } from './types/app-jwt.ts'

/**
 * `app.jwt`, for a program in which another plugin has declared the type of that property, as `@fastify/jwt` does, and for every kind of
 * server.
 *
 * @param instance The app, or an encapsulated context of it: the nearest registration wins.
 * @throws `FST_JWT_NOT_REGISTERED` if the plugin is not registered there, or not yet.
 */
export function jwtOf (instance: object): JwtExtended {
  const jwt = (instance as { readonly [kJwt]?: JwtExtended })[kJwt]
  if (jwt === undefined) throw defaultErrors.FST_JWT_NOT_REGISTERED('fastify-jwt-extended is not registered in this context, or not yet: await app.register(jwt, { … }) first')
  return jwt
}
