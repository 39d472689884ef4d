import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import type { JwtErrorCode } from './types/errors.ts'

/**
 * What is published, by name, on the channels `fastify-jwt-extended:<name>` of `node:diagnostics_channel`: ids and
 * causes, never a token.
 */
export interface JwtEvents {
  /** A request brought a token, and it was refused. `route` is the route's pattern. */
  'token.refused': { code: JwtErrorCode, requestId: string, method: string, route: string | undefined }
  /** A token was put on the denylist. */
  'token.revoked': { jti: string, sessionId: string | null }
  /** A refresh token came again after it had been replaced, and its session has ended. */
  'refresh.reused': { sessionId: string, identity: string }
  /** Somebody logged in. */
  'session.started': { sessionId: string, identity: string }
  /** A refresh token was replaced; `repeated`: its successor was handed out again within the reuse interval. */
  'session.rotated': { sessionId: string, identity: string, repeated: boolean }
  /** A session was ended: by the app, since a refresh token was reused, at `sessionMaxAge`, or for a new one (`maxSessions`). */
  'session.revoked': { sessionId: string, cause: 'revoked' | 'reused' | 'expired' | 'limit' }
}

interface Log { readonly level: 'debug' | 'info' | 'warn', readonly line: string }

/** The log line of each event: what a person must look into is a warning; what any request may cause is not even shown by default. */
const logs: { readonly [Name in keyof JwtEvents]: Log } = {
  'token.refused': { level: 'debug', line: 'JWT refused' },
  'token.revoked': { level: 'info', line: 'Token revoked' },
  'refresh.reused': { level: 'warn', line: 'Refresh token reused, session ended' },
  'session.started': { level: 'info', line: 'Session started' },
  'session.rotated': { level: 'debug', line: 'Refresh token rotated' },
  'session.revoked': { level: 'info', line: 'Session revoked' }
}

const channels = Object.fromEntries(Object.keys(logs).map(name =>
  [name, channel(`fastify-jwt-extended:${name}`)])) as Record<keyof JwtEvents, Channel>

/** Publishes an event on its channel and writes its log line. @internal */
export function publish<Name extends keyof JwtEvents> (name: Name, event: JwtEvents[Name], log: FastifyBaseLogger): void {
  const listeners = channels[name]
  if (listeners.hasSubscribers) listeners.publish(event)
  const { level, line } = logs[name]
  const fields: object = event
  log[level](fields, line)
}

/** `token.refused`, put together only when somebody listens: a bad token must be as cheap as a good one. @internal */
export function publishRefused (code: JwtErrorCode, request: FastifyRequest): void {
  const log: FastifyBaseLogger & { isLevelEnabled?: (level: string) => boolean } = request.log
  // Pino's, which a logger of the app's own need not have.
  const logged = log.isLevelEnabled?.(logs['token.refused'].level) ?? true
  if (!logged && !channels['token.refused'].hasSubscribers) return
  publish('token.refused', { code, requestId: request.id, method: request.method, route: request.routeOptions.url }, log)
}
