import { STATUS_CODES } from 'node:http'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest, FastifyServerOptions, InjectOptions, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import jwt, { freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired } from '../../lib/index.ts'
import type { JwtErrorCode } from '../../lib/index.ts'

export type Options = Parameters<typeof jwt>[1]

export const secretKey = 'a secret of the tests, long enough for HS512: 64 bytes and a few more'
export const otherSecretKey = 'another secret of the tests, no less long than the first one: 64 bytes'

/** What a route of `protectedApp` answers. */
export function seen (request: FastifyRequest) {
  return { identity: request.jwtIdentity, claims: request.jwtClaims, location: request.jwtLocation }
}

/** An app with one route for each of the four hooks, open to GET and POST. */
export async function protectedApp (
  t: Test, options: Partial<Options> = {}, server: FastifyServerOptions = {}
): Promise<FastifyInstance> {
  const app = Fastify(server) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, { secretKey, ...options } as Options)
  const method = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
  app.route({ method, url: '/required', preHandler: jwtRequired, handler: async request => seen(request) })
  app.route({ method, url: '/optional', preHandler: jwtOptional, handler: async request => seen(request) })
  app.route({ method, url: '/fresh', preHandler: freshJwtRequired, handler: async request => seen(request) })
  app.route({ method, url: '/refresh', preHandler: refreshTokenRequired, handler: async request => seen(request) })
  await app.ready()
  return app
}

/** A request with a token in the header, as BustAPI and RFC 6750 §2.1 have it. */
export function bearer (token: string, scheme = 'Bearer'): { authorization: string } {
  return { authorization: `${scheme} ${token}` }
}

export interface Refusal {
  status: number
  code: JwtErrorCode
  /** The whole message, or what it must match where the wording is free. */
  message: string | RegExp
  /** The whole `WWW-Authenticate`, what it must match, or `null` for none. */
  challenge: string | RegExp | null
}

function invalidToken (code: JwtErrorCode, message: string): Refusal {
  return { status: 401, code, message, challenge: `Bearer error="invalid_token", error_description="${message}"` }
}

/** The refusals as docs/errors.md has them, by the words a test uses for them. */
export const refusals = {
  missing: { status: 401, code: 'FST_JWT_MISSING_TOKEN', message: 'Missing JWT token', challenge: 'Bearer' },
  badRequest: {
    status: 400,
    code: 'FST_JWT_BAD_REQUEST',
    message: /./,
    challenge: /^Bearer error="invalid_request", error_description="[^"\\]+"$/
  },
  expired: invalidToken('FST_JWT_EXPIRED', 'Token has expired'),
  notYetValid: invalidToken('FST_JWT_NOT_YET_VALID', 'Token not yet valid'),
  signature: invalidToken('FST_JWT_INVALID_SIGNATURE', 'Invalid token signature'),
  invalid: {
    status: 401,
    code: 'FST_JWT_INVALID_TOKEN',
    message: /^Invalid token: .+$/,
    challenge: /^Bearer error="invalid_token", error_description="Invalid token: [^"\\]+"$/
  },
  accessRequired: invalidToken('FST_JWT_ACCESS_REQUIRED', 'Access token required'),
  refreshRequired: invalidToken('FST_JWT_REFRESH_REQUIRED', 'Refresh token required'),
  freshRequired: invalidToken('FST_JWT_FRESH_REQUIRED', 'Fresh token required'),
  csrf: { status: 403, code: 'FST_JWT_CSRF', message: /./, challenge: null }
} as const satisfies Record<string, Refusal>

/** Asserts the whole of a refusal: status, the four fields of the body, and the challenge. */
export function assertRefused (t: Test, response: LightMyRequestResponse, refusal: Refusal, name: string): void {
  t.equal(response.statusCode, refusal.status, `${name}: status`)
  const body = response.json<Record<string, unknown>>()
  t.strictSame(Object.keys(body).sort(), ['code', 'error', 'message', 'statusCode'], `${name}: fields of the body`)
  t.equal(body.statusCode, refusal.status, `${name}: statusCode`)
  t.equal(body.code, refusal.code, `${name}: code`)
  t.equal(body.error, STATUS_CODES[refusal.status], `${name}: error`)
  if (typeof refusal.message === 'string') t.equal(body.message, refusal.message, `${name}: message`)
  else t.match(body.message, refusal.message, `${name}: message`)
  const challenge = response.headers['www-authenticate']
  if (refusal.challenge === null) t.equal(challenge, undefined, `${name}: no challenge`)
  else if (typeof refusal.challenge === 'string') t.equal(challenge, refusal.challenge, `${name}: challenge`)
  else t.match(challenge, refusal.challenge, `${name}: challenge`)
}

/** Sends a request and asserts that it is refused in just this way. */
export async function refused (
  t: Test, app: FastifyInstance, request: InjectOptions, refusal: Refusal, name: string
): Promise<void> {
  assertRefused(t, await app.inject(request), refusal, name)
}

/** Sends a request and asserts that it passes with this identity. */
export async function passes (
  t: Test, app: FastifyInstance, request: InjectOptions, identity: string | null, name: string
): Promise<void> {
  const response = await app.inject(request)
  t.equal(response.statusCode, 200, `${name}: status`)
  t.equal(response.json<{ identity: string | null }>().identity, identity, `${name}: identity`)
}
