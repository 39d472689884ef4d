import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { JwtErrorCode } from './errors.ts'

/** What is published on each channel: ids and causes, never a token. */
export interface JwtEvents {
  /** A request brought a token, and it was refused. */
  'token.refused': { code: JwtErrorCode, requestId: string, method: string, route: string | undefined }
  /** A refresh token came again after it had been replaced; its session has ended. */
  'refresh.reused': { sessionId: string, identity: string }
  'session.started': { sessionId: string, identity: string }
  /** `repeated`: the successor was handed out again within the reuse interval. */
  'session.rotated': { sessionId: string, identity: string, repeated: boolean }
  'session.revoked': { sessionId: string, cause: 'revoked' | 'reused' }
  'token.revoked': { jti: string, sessionId: string | null }
}

/** How loud the log line of each event is: what a person must look into is a warning, what each request may cause is not. */
const levels = {
  'token.refused': 'debug',
  'refresh.reused': 'warn',
  'session.started': 'info',
  'session.rotated': 'debug',
  'session.revoked': 'info',
  'token.revoked': 'info'
} as const satisfies Record<keyof JwtEvents, 'debug' | 'info' | 'warn'>

const lines = {
  'token.refused': 'JWT refused',
  'refresh.reused': 'Refresh token reused, session ended',
  'session.started': 'Session started',
  'session.rotated': 'Refresh token rotated',
  'session.revoked': 'Session revoked',
  'token.revoked': 'Token revoked'
} as const satisfies Record<keyof JwtEvents, string>

const channels = Object.fromEntries(Object.keys(lines).map(name =>
  [name, channel(`fastify-jwt-extended:${name}`)])) as Record<keyof JwtEvents, Channel>

/** Publishes an event on `fastify-jwt-extended:<name>` (`node:diagnostics_channel`) and writes its log line. */
export function publish<Name extends keyof JwtEvents> (name: Name, event: JwtEvents[Name], log: FastifyBaseLogger): void {
  const listeners = channels[name]
  if (listeners.hasSubscribers) listeners.publish(event)
  const fields: object = event
  const line: string = lines[name]
  log[levels[name]](fields, line)
}

/** `token.refused`, put together only when somebody listens: a bad token must be as cheap as a good one. */
export function publishRefused (code: JwtErrorCode, request: FastifyRequest): void {
  const logged = 'isLevelEnabled' in request.log ? (request.log as { isLevelEnabled (level: string): boolean }).isLevelEnabled('debug') : true
  if (!logged && !channels['token.refused'].hasSubscribers) return
  publish('token.refused', { code, requestId: request.id, method: request.method, route: request.routeOptions.url }, request.log)
}
