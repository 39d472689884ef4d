import { STATUS_CODES } from 'node:http'
import { askCallbacks } from '../../authenticate/authenticate-token.ts'
import { checkFetchMetadata } from '../../authenticate/fetch-metadata.ts'
import { refuseRevoked } from '../../authenticate/revocation.ts'
import { badOption, conceal, isJwtError, isRefusal, ownMessageOf } from '../../errors.ts'
import { publish } from '../../events.ts'
import { kOwnRoute } from '../../own-route.ts'
import { siteOf } from './announce.ts'
import { sessionIdOf } from './bindings.ts'
import { readString, writeChallenge } from './header-fields.ts'
import { createReadAccessCookies } from './replaced.ts'
import type { FastifyInstance, FastifyReply, FastifyRequest, FastifySchema, onSendHookHandler, RouteHandlerMethod } from 'fastify'
import type { ResolvedDeviceBinding, Settings } from '../../options/settings.ts'
import type { Registration } from '../../registration.ts'
import type { JwtError } from '../../types/errors.ts'
import type { Sessions } from '../sessions.ts'
import type { PresentedProof, ProvedSession } from './bindings.ts'

/** On a reply: this package has set its status. */
const kDecided = Symbol('fastify-jwt-extended.decided')

declare module 'fastify' {
  interface FastifyReply {
    [kDecided]?: true
  }
}

/** The paths of the two routes, as the browser sees them. */
export interface DeviceBindingPaths {
  readonly registration: string
  readonly refresh: string
}

/** Whether a browser sends a cookie with `cookiePath` to `path` (RFC 6265 §5.1.4). */
function covers (cookiePath: string, path: string): boolean {
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`)
}

/** @throws `FST_JWT_BAD_OPTION` */
export function deviceBindingPaths ({ prefix }: FastifyInstance, { deviceBindingPath, accessCookiePath }: Settings): DeviceBindingPaths {
  const base = prefix.replace(/\/$/, '') + deviceBindingPath
  if (/[:*]/.test(base)) throw badOption('deviceBindingPath', `lies under the prefix ${prefix}, which has a parameter, so that a browser can't be told where it is; register device binding in a context without one`)
  if (!covers(accessCookiePath, base)) throw badOption('deviceBindingPath', `is ${base}, where a browser does not send the access cookie; put it under accessCookiePath, which is '${accessCookiePath}'`)
  return { registration: `${base}/registration`, refresh: `${base}/refresh` }
}

/**
 * If this package has not set the status, a hook of the app has, such as a rate limit. A browser would take it as a verdict and
 * end the session for good. After a 503 it tries again.
 */
const keepVerdicts: onSendHookHandler = function keepVerdicts (_request, reply, payload, done) {
  if (reply[kDecided] !== true && reply.statusCode < 500) reply.code(503)
  done(null, payload)
}

/** `hide` keeps the routes out of the document of @fastify/swagger: only browsers call them. */
const schema: FastifySchema & { hide: boolean } = { hide: true }

/** Adds the routes with which a browser binds a session and refreshes a bound one. */
export function addDeviceBindingRoutes (
  fastify: FastifyInstance, registration: Registration, sessions: Sessions, { allowedRefreshInitiators: initiators }: ResolvedDeviceBinding
): void {
  const { settings, cookies, verifier } = registration
  const { errors, deviceBindingPath, accessCookiePath, trustedOrigins } = settings
  if (verifier.keys.signing === null) throw badOption('deviceBinding', 'needs a key that signs, but a public key can only verify; give privateKey, or leave deviceBinding out')
  const readAccessCookies = createReadAccessCookies(registration)
  const { devices } = sessions
  const paths = deviceBindingPaths(fastify, settings)
  // The last rule that matches wins.
  const inScope = accessCookiePath === '/' ? [] : [['exclude', '/'], ['include', accessCookiePath]]
  const rules = [...inScope, ['exclude', paths.registration]].map(([type, path]) => ({ type, domain: '*', path }))

  /** Tells the browser what is bound to the key (Device Bound Session Credentials, session instructions). */
  function instruct (reply: FastifyReply, { identifier, challenge, tokens }: ProvedSession): object {
    cookies.set(reply, 'access', tokens.accessToken)
    cookies.set(reply, 'refresh', tokens.refreshToken)
    reply.header('secure-session-challenge', writeChallenge(identifier, challenge))
    reply[kDecided] = true
    return {
      session_identifier: identifier,
      refresh_url: paths.refresh,
      scope: { include_site: siteOf(settings) !== null, scope_specification: rules },
      credentials: [{ type: 'cookie', ...cookies.describeAccess(reply) }],
      ...(initiators.length === 0 ? {} : { allowed_refresh_initiators: initiators })
    }
  }

  function presented (request: FastifyRequest): PresentedProof {
    const proof = readString(request, 'secure-session-response')
    if (proof === null) throw errors.FST_JWT_DEVICE_PROOF_INVALID('malformed')
    return { proof: proof ?? null, url: `${request.protocol}://${request.host}${request.originalUrl}`, log: request.log, askCallbacks: token => askCallbacks(registration, token, request) }
  }

  /** Binds the session of a login. Only its browser has the access cookie. There may be several, the oldest first (RFC 6265 §5.4). */
  async function bind (request: FastifyRequest): Promise<ProvedSession> {
    let refusal: JwtError | null = null
    for (const claims of await readAccessCookies(request, false)) {
      const { sid } = claims
      if (sid === undefined) continue
      try {
        // The answer is not learnt: the proof is not checked yet, and a bound session gets a new pair.
        await refuseRevoked(registration, request, { header: null, claims }, { stored: null, state: null, epoch: 0 })
        return await devices.register({ ...claims, sid }, presented(request))
      } catch (error) {
        if (!isRefusal(error)) throw error
        refusal ??= error
      }
    }
    throw refusal ?? errors.FST_JWT_MISSING_TOKEN()
  }

  /** Sends the error itself, so that no error handler of the app changes a verdict, or turns an outage into one. */
  function answer (reply: FastifyReply, error: JwtError): FastifyReply {
    const { statusCode = 500, code, message, headers = {} } = conceal(error) as JwtError
    if (!isRefusal(error)) reply.log.error({ err: error }, 'A device could not be checked')
    reply[kDecided] = true
    return reply.code(statusCode).headers(headers).send({ statusCode, code, error: STATUS_CODES[statusCode], message })
  }

  function refuse (request: FastifyRequest, reply: FastifyReply, error: unknown, identifier: string | null): FastifyReply {
    // An unexpected error, of the app or of this package, goes to the error handler of the app.
    if (!isJwtError(error)) throw error
    if (isRefusal(error)) {
      publish('device.refused', {
        code: error.code, reason: ownMessageOf(error), registration: identifier === null, sessionId: identifier === null ? null : sessionIdOf(identifier), requestId: request.id
      }, request.log)
    }
    return answer(reply, error)
  }

  const register: RouteHandlerMethod = async (request, reply) => {
    try {
      // The browser sends this request for the page that has signed in.
      checkFetchMetadata(request, trustedOrigins, errors)
      return instruct(reply, await bind(request))
    } catch (error) {
      return refuse(request, reply, error, null)
    }
  }

  // Neither the origin nor a cookie is checked: the proof is enough.
  const refresh: RouteHandlerMethod = async (request, reply) => {
    const identifier = readString(request, 'sec-secure-session-id') ?? ''
    try {
      const result = await devices.refresh(identifier, presented(request))
      if ('tokens' in result) return instruct(reply, result)
      reply.header('secure-session-challenge', writeChallenge(result.identifier, result.challenge))
      return answer(reply, errors.FST_JWT_DEVICE_PROOF_REQUIRED())
    } catch (error) {
      return refuse(request, reply, error, identifier)
    }
  }

  for (const [name, handler] of [['registration', register], ['refresh', refresh]] as const) {
    fastify.route({ method: 'POST', url: `${deviceBindingPath}/${name}`, config: { jwt: false, [kOwnRoute]: true }, schema, onSend: keepVerdicts, handler })
  }
}
