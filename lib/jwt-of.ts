import { defaultErrors } from './errors.ts'
import { kJwt } from './registration.ts'
import type { JwtExtended } from './types/app-jwt.ts'

/**
 * `app.jwt` for every kind of server, and for programs in which another plugin, such as `@fastify/jwt`, declares the type of that property.
 *
 * @param instance The app, or an encapsulated context of it: the nearest registration wins.
 * @throws `FST_JWT_NOT_REGISTERED` if the plugin is not registered there, or not yet.
 */
export function jwtOf (instance: object): JwtExtended {
  const jwt = (instance as { readonly [kJwt]?: JwtExtended })[kJwt]
  if (jwt === undefined) throw defaultErrors.FST_JWT_NOT_REGISTERED('fastify-jwt-extended is not registered in this context, or not yet: await app.register(jwt, { … }) first')
  return jwt
}
