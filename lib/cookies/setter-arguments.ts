import { readPayload } from '../jwt/unverified.ts'
import { parseOpaqueToken } from '../sessions/opaque-tokens.ts'
import type { FastifyReply } from 'fastify'
import type { TokenType } from '../types/claims.ts'

const setters = { access: 'setAccessCookies', refresh: 'setRefreshCookies' } as const

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

const isReply = (value: unknown): boolean => isObject(value) && 'request' in value && 'raw' in value

const isPromiseLike = (value: unknown): boolean => isObject(value) && 'then' in value

const isSession = (value: unknown): boolean => isObject(value) && 'accessToken' in value && 'refreshToken' in value

/** Checks the first argument of a call such as `setAccessCookies`. @throws {TypeError} */
function checkReply (call: string, reply: unknown, other: unknown, second: string): asserts reply is FastifyReply {
  if (!isReply(reply)) throw new TypeError(`${call} takes (reply, ${second})${isReply(other) ? ', in this order' : ', and the first is not a reply'}`)
}

/** Refuses a cookie that is set after the headers were sent: it would be lost silently. @throws {Error} */
export function requireUnsent (reply: FastifyReply): void {
  if (reply.sent || reply.raw.headersSent) throw new Error('The reply was already sent, so that its cookies can no longer change: set or clear them before reply.send() or reply.hijack()')
}

/** The type that a token claims to have. A token of another library may have none. */
function typeOf (token: string): unknown {
  const payload = readPayload(token)
  return payload === null ? (parseOpaqueToken(token, []) === null ? undefined : 'refresh') : payload['type']
}

/** Checks the arguments of `setAccessCookies` or `setRefreshCookies`. @throws {TypeError} */
export function checkTokenArguments (type: TokenType, reply: unknown, token: unknown): void {
  const call = setters[type]
  checkReply(call, reply, token, 'token')
  if (isPromiseLike(token)) throw new TypeError(`${call} got a promise: await it first`)
  if (isSession(token)) throw new TypeError(`${call} got a session: use setSessionCookies, or give its ${type}Token`)
  if (typeof token !== 'string' || token === '') throw new TypeError(`${call} takes (reply, token), and the second is not a token`)
  const other = type === 'access' ? 'refresh' : 'access'
  if (typeOf(token) === other) throw new TypeError(`${call} got ${other === 'access' ? 'an access' : 'a refresh'} token: use ${setters[other]}`)
}

/** Checks the arguments of `setSessionCookies`. @throws {TypeError} */
export function checkSessionArguments (reply: unknown, session: unknown): void {
  const call = 'setSessionCookies'
  checkReply(call, reply, session, 'session')
  if (isPromiseLike(session)) throw new TypeError(`${call} got a promise: await createSession or rotateSession first`)
  if (typeof session === 'string') throw new TypeError(`${call} got a token: use setAccessCookies or setRefreshCookies, or give what createSession has returned`)
  if (!isSession(session)) throw new TypeError(`${call} takes (reply, session), and the second is not what createSession or rotateSession has returned`)
}

/** Checks the argument of `unsetJwtCookies` and similar calls. @throws {TypeError} */
export function checkReplyArgument (call: string, reply: unknown): void {
  if (!isReply(reply)) throw new TypeError(`${call} takes the reply`)
}
