import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Test } from 'tap'
import jwt, { jwtOptional, jwtRequired, refreshTokenRequired } from '../../../lib/index.ts'
import type { Algorithm, JwtExtendedOptions, OptionsWithKeys } from '../../../lib/index.ts'
import { loadKeys } from '../../../lib/keys/local.ts'
import type { KeySet } from '../../../lib/types/keys.ts'
import { ecPair, rsaPair } from './key-pairs.ts'

export const secretKey = 'a secret of the tests, long enough for HS512: 64 bytes and a few more'
export const otherSecretKey = 'another secret of the tests, no less long than the first one: 64 bytes'

const seen = async (request: FastifyRequest) => ({ identity: request.jwtIdentity, claims: request.jwtClaims })

/** An app with a route for each kind of hook. @param causes Gets what the log has of each error and the answer has not. */
export async function appWith (t: Test, options: JwtExtendedOptions, causes: unknown[] = []): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onError', async (_request, _reply, { cause }) => { causes.push(cause) })
  await app.register(jwt, options as OptionsWithKeys)
  app.get('/', { preHandler: jwtRequired }, seen)
  app.get('/optional', { preHandler: jwtOptional }, seen)
  app.get('/refresh', { preHandler: refreshTokenRequired }, seen)
  await app.ready()
  return app
}

/** A key of its own for each name. */
export function ecKeys (keyId: string | undefined, name = keyId ?? 'first'): KeySet {
  return loadKeys({ algorithm: 'ES256', privateKey: ecPair('P-256', name).privateKey, keyId })
}

export function rsaKeys (keyId: string | undefined, name = keyId ?? 'first', algorithm: Algorithm = 'RS256'): KeySet {
  return loadKeys({ algorithm, privateKey: rsaPair(name).privateKey, keyId })
}

export function now (): number {
  return Math.floor(Date.now() / 1000)
}

/** A token of another issuer, with the claims of RFC 9068 that matter here. */
export function tokenOf ({ signing }: KeySet, claims: Record<string, unknown> = {}): string {
  if (signing === null) throw new Error('there is no key to sign with')
  return signing.sign({ sub: 'user123', iat: now(), exp: now() + 900, ...claims })
}

export interface Answer {
  status: number
  code?: string
  message?: string
  identity?: string
}

/** Sends a token and gives what came back, in short. */
export async function send (app: FastifyInstance, token: string, url = '/', headers: Record<string, string> = {}): Promise<Answer> {
  const response = await app.inject({ url, headers: { authorization: `Bearer ${token}`, ...headers } })
  const { code, message, identity } = response.json<Record<string, string | undefined>>()
  return {
    status: response.statusCode,
    ...(code === undefined ? {} : { code }),
    ...(message === undefined ? {} : { message }),
    ...(identity === undefined ? {} : { identity })
  }
}

export const passed = { status: 200, identity: 'user123' }
export const invalid = (why: string) => ({ status: 401, code: 'FST_JWT_INVALID_TOKEN', message: `Invalid token: ${why}` })
export const badSignature = { status: 401, code: 'FST_JWT_INVALID_SIGNATURE', message: 'Invalid token signature' }
export const unavailable = { status: 503, code: 'FST_JWT_KEYS_UNAVAILABLE', message: 'Token keys unavailable' }
