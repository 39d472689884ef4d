import { channel } from 'node:diagnostics_channel'
import type { Channel } from 'node:diagnostics_channel'
import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { ownMessageOf } from './errors.ts'
import type { DeviceAlgorithm } from './types/device-binding.ts'
import type { JwtError, JwtErrorCode } from './types/errors.ts'

/**
 * The events, by name. Each is published on the channel `fastify-jwt-extended:<name>` of `node:diagnostics_channel`. They
 * hold ids and causes, never a token.
 */
export interface JwtEvents {
  /** The token of a request was refused. `reason`: the package's own message of the error. `route` is the pattern of the route. */
  'token.refused': { code: JwtErrorCode, reason: string, requestId: string, method: string, route: string | undefined }
  /** A token was put on the denylist. */
  'token.revoked': { jti: string, sessionId: string | null }
  /** A refresh token was used after it had been replaced. Its session has ended. */
  'refresh.reused': { sessionId: string, identity: string }
  /** `createSession` was called: a login. */
  'session.started': { sessionId: string, identity: string }
  /** A refresh token was replaced. `repeated`: its successor was issued again, within `refreshReuseInterval`. */
  'session.rotated': { sessionId: string, identity: string, repeated: boolean }
  /** A session was bound to the device of its browser. From now on, its refresh token alone can't refresh it. */
  'device.bound': { sessionId: string, identity: string, algorithm: DeviceAlgorithm }
  /** A bound session was refreshed with a valid proof of its device. */
  'device.refreshed': { sessionId: string, identity: string }
  /**
   * A proof of a device was refused. `registration`: whether the proof was meant to bind a session. `sessionId` is from the request,
   * unverified.
   */
  'device.refused': { code: JwtErrorCode, reason: string, registration: boolean, sessionId: string | null, requestId: string }
  /**
   * A session has ended: by the app, by reuse of a refresh token, at `sessionMaxAge`, or for a new session (`maxSessions`). `remote`:
   * another server has ended it, and only that server knows the cause; published with the `replicate` option of the store.
   */
  'session.revoked': { sessionId: string, cause: 'revoked' | 'reused' | 'expired' | 'limit' } | { sessionId: string, cause: null, remote: true }
}

interface Log { readonly level: 'debug' | 'info' | 'warn', readonly line: string }

/** The log line of each event. A possible theft is a warning. An event that any request can cause is `debug`, which is off by default. */
const lines: { readonly [Name in keyof JwtEvents]: Log } = {
  'token.refused': { level: 'debug', line: 'JWT refused' },
  'token.revoked': { level: 'info', line: 'Token revoked' },
  'refresh.reused': { level: 'warn', line: 'Refresh token reused, session ended' },
  'session.started': { level: 'info', line: 'Session started' },
  'session.rotated': { level: 'debug', line: 'Refresh token rotated' },
  'session.revoked': { level: 'info', line: 'Session revoked' },
  'device.bound': { level: 'info', line: 'Session bound to a device' },
  'device.refreshed': { level: 'debug', line: 'Bound session refreshed' },
  'device.refused': { level: 'debug', line: 'Device refused' }
}

const channels = Object.fromEntries(Object.keys(lines).map(name =>
  [name, channel(`fastify-jwt-extended:${name}`)])) as Record<keyof JwtEvents, Channel>

/** Publishes an event on its channel and writes its log line. @internal */
export function publish<Name extends keyof JwtEvents> (name: Name, event: JwtEvents[Name], log: FastifyBaseLogger): void {
  const listeners = channels[name]
  if (listeners.hasSubscribers) listeners.publish(event)
  const { level, line } = lines[name]
  const fields: object = event
  log[level](fields, line)
}

/** Whether a logger writes lines of a level. `isLevelEnabled` is a method of Pino's, which an app's own logger may lack. @internal */
export function logs (log: FastifyBaseLogger & { isLevelEnabled?: (level: string) => boolean }, level: string): boolean {
  return log.isLevelEnabled?.(level) ?? true
}

/** Publishes `token.refused`. Builds it only for a listener, so that bad tokens are as cheap as good ones. @internal */
export function publishRefused (error: JwtError, request: FastifyRequest): void {
  const { log } = request
  if (!logs(log, lines['token.refused'].level) && !channels['token.refused'].hasSubscribers) return
  publish('token.refused', { code: error.code, reason: ownMessageOf(error), requestId: request.id, method: request.method, route: request.routeOptions.url }, log)
}
