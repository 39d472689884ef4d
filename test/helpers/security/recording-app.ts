import { STATUS_CODES } from 'node:http'
import { Writable } from 'node:stream'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest, FastifyServerOptions, InjectOptions } from 'fastify'
import type { Test } from 'tap'
import jwt, { crossOriginProtection, freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired, verifyJwt } from '../../../lib/index.ts'
import type { JwtErrorCode, JwtExtendedOptions, OptionsWithKeys } from '../../../lib/index.ts'

/** What is to be answered: who is let in (`null` for nobody in particular), or the code and the reason of a refusal. */
export type Verdict =
  | { readonly passes: string | null }
  | { readonly code: JwtErrorCode, readonly reason?: string }

export const passes: Verdict = { passes: 'user123' }
export const missing: Verdict = { code: 'FST_JWT_MISSING_TOKEN' }
export const expired: Verdict = { code: 'FST_JWT_EXPIRED' }
export const notYetValid: Verdict = { code: 'FST_JWT_NOT_YET_VALID' }
export const wrongSignature: Verdict = { code: 'FST_JWT_INVALID_SIGNATURE' }
export const revoked: Verdict = { code: 'FST_JWT_REVOKED' }
export const reused: Verdict = { code: 'FST_JWT_REUSED' }
export const csrf: Verdict = { code: 'FST_JWT_CSRF' }
export const badRequest: Verdict = { code: 'FST_JWT_BAD_REQUEST' }

/** `FST_JWT_INVALID_TOKEN`, and the one word of why. */
export const invalid = (reason: string): Verdict => ({ code: 'FST_JWT_INVALID_TOKEN', reason: `Invalid token: ${reason}` })

/** The status of each refusal, as docs/errors.md has it, and not from the code. */
export const statusOf: Partial<Record<JwtErrorCode, number>> = {
  FST_JWT_MISSING_TOKEN: 401,
  FST_JWT_BAD_REQUEST: 400,
  FST_JWT_EXPIRED: 401,
  FST_JWT_NOT_YET_VALID: 401,
  FST_JWT_INVALID_SIGNATURE: 401,
  FST_JWT_INVALID_TOKEN: 401,
  FST_JWT_ACCESS_REQUIRED: 401,
  FST_JWT_REFRESH_REQUIRED: 401,
  FST_JWT_FRESH_REQUIRED: 401,
  FST_JWT_REVOKED: 401,
  FST_JWT_REUSED: 401,
  FST_JWT_CSRF: 403
}

/** What came back, from `inject` or from a socket. */
export interface Answer {
  readonly statusCode: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** An app whose log, at its most talkative, is searched after every request. */
export interface RecordingApp {
  readonly app: FastifyInstance
  /** Sends a request. */
  send (request: InjectOptions): Promise<Answer>
  /** The log since it was asked for last. */
  takeLog (): string
  /** Whether any of these is in the log since last time, or in the answer; the log is emptied. */
  leaked (answer: Answer, hidden: readonly string[]): string | undefined
}

export const everyLocation: JwtExtendedOptions = { tokenLocation: ['headers', 'cookies', 'queryString', 'json'] }

function seen (request: FastifyRequest) {
  return { identity: request.jwtIdentity }
}

/** @param extend Adds routes of a test's own. */
export async function recordingApp (
  t: Test, options: JwtExtendedOptions, server: FastifyServerOptions = {}, extend: (app: FastifyInstance) => void = () => {}
): Promise<RecordingApp> {
  let lines: string[] = []
  const stream = new Writable({ write (chunk, _encoding, done) { lines.push(String(chunk)); done() } })
  const app = Fastify({ ...server, logger: { level: 'trace', stream } }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(jwt, options as OptionsWithKeys)
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
    done(null, Object.fromEntries(new URLSearchParams(body as string)))
  })
  const method = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
  app.route({ method, url: '/required', preHandler: jwtRequired, handler: async request => seen(request) })
  app.route({ method, url: '/optional', preHandler: jwtOptional, handler: async request => seen(request) })
  app.route({ method, url: '/strict', preHandler: verifyJwt({ optional: 'strict' }), handler: async request => seen(request) })
  app.route({ method, url: '/fresh', preHandler: freshJwtRequired, handler: async request => seen(request) })
  app.route({ method, url: '/refresh', preHandler: refreshTokenRequired, handler: async request => seen(request) })
  app.route({ method, url: '/any', preHandler: verifyJwt({ type: 'any' }), handler: async request => seen(request) })
  app.route({ method, url: '/early', onRequest: verifyJwt({ locations: 'headers' }), handler: async request => seen(request) })
  app.route({ method, url: '/login', onRequest: crossOriginProtection, handler: async () => ({ identity: null }) })
  app.route({
    method,
    url: '/rotate',
    preHandler: refreshTokenRequired,
    handler: async request => ({ identity: request.jwtIdentity, ...await app.jwt.rotateSession(request) })
  })
  extend(app)
  await app.ready()

  function takeLog (): string {
    const log = lines.join('')
    lines = []
    return log
  }

  return {
    app,
    takeLog,
    async send (request) {
      const { statusCode, headers, body } = await app.inject(request)
      return { statusCode, headers, body }
    },
    leaked (answer, hidden) {
      const shown = `${takeLog()}\n${JSON.stringify(answer.headers)}\n${answer.body}`
      // A name as short as `a` says nothing; from this length on it is no accident.
      return hidden.find(text => text.length >= 16 && shown.includes(text))
    }
  }
}

/** Asserts a verdict, whole: status, the fields of the body, and the challenge. Says nothing while all is well, for there are thousands. */
export function faultOf (answer: Answer, verdict: Verdict): string | undefined {
  const { statusCode, headers } = answer
  const body = JSON.parse(answer.body) as Record<string, unknown>
  if ('passes' in verdict) {
    if (statusCode !== 200) return `is refused: ${answer.body}`
    return body['identity'] === verdict.passes ? undefined : `passes as ${String(body['identity'])}`
  }
  const status = statusOf[verdict.code]
  if (statusCode !== status) return `has status ${statusCode} for ${verdict.code}: ${answer.body}`
  if (body['code'] !== verdict.code) return `is ${String(body['code'])} for ${verdict.code}: ${answer.body}`
  if (verdict.reason !== undefined && body['message'] !== verdict.reason) return `says '${String(body['message'])}' for '${verdict.reason}'`
  if (body['statusCode'] !== status || body['error'] !== STATUS_CODES[status] || Object.keys(body).length !== 4) return `has the body ${answer.body}`
  const challenge = headers['www-authenticate']
  const expected = status === 403 ? undefined : status === 400 ? 'invalid_request' : verdict.code === 'FST_JWT_MISSING_TOKEN' ? '' : 'invalid_token'
  if (expected === undefined ? challenge !== undefined : challenge === undefined) return `has the challenge ${String(challenge)}`
  if (expected === '' && challenge !== 'Bearer') return `has the challenge ${String(challenge)}`
  if (expected && !String(challenge).startsWith(`Bearer error="${expected}", error_description="`)) return `has the challenge ${String(challenge)}`
  return undefined
}
