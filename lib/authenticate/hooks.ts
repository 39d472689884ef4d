import { badOption, conceal, defaultErrors } from '../errors.ts'
import { hookName } from '../hook-name.ts'
import { isForOwnRoute } from '../own-route.ts'
import { registrationOf } from '../registration.ts'
import { kRefusal, rememberRefusal } from './challenge.ts'
import { resolveHookOptions } from './hook-options.ts'
import { checkFetchMetadata } from './fetch-metadata.ts'
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction, RouteOptions } from 'fastify'
import type { PreparedHook, Registration } from '../registration.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { JwtHook, VerifyOptions } from '../types/hooks.ts'
import type { HookOptions } from './hook-options.ts'

/** On a hook of this package: its options. A registered symbol, so that another copy of this package recognises it. */
const kHook = Symbol.for('fastify-jwt-extended.hook.1')

/** The registration that applies to a request. @throws `FST_JWT_NOT_REGISTERED` @internal */
export function nearest (request: FastifyRequest): Registration {
  const registration = registrationOf(request.server)
  if (registration === undefined) {
    throw defaultErrors.FST_JWT_NOT_REGISTERED('fastify-jwt-extended is not registered in the context of this route, or not yet: register it there, or above, before its routes')
  }
  return registration
}

/**
 * The error that a hook passes to `done`. A callback may throw any value, also `undefined`, and `done(undefined)` would let the request
 * pass.
 */
function faultOf (thrown: unknown): Error {
  if (typeof thrown === 'object' && thrown !== null) return conceal(thrown) as Error
  return new Error('A callback of fastify-jwt-extended threw a value that is not an error', { cause: thrown })
}

/** Forgets why another hook has refused the request, such as an alternative in `@fastify/auth`. */
function forgetRefusal (request: FastifyRequest): void {
  if (request[kRefusal] !== undefined) request[kRefusal] = undefined
}

function pass (request: FastifyRequest, done: HookHandlerDoneFunction): void {
  forgetRefusal(request)
  done()
}

function fail (request: FastifyRequest, thrown: unknown, done: HookHandlerDoneFunction): void {
  rememberRefusal(request, thrown)
  done(faultOf(thrown))
}

/** The type of a hook inside this package. */
type HookFunction = (this: unknown, request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) => void

/** Gives a hook the type that fits every kind of server. @internal */
export function forEveryServer (hook: HookFunction): JwtHook {
  return hook as JwtHook
}

/** Refuses `preHandler: jwtRequired()`, which Fastify would ignore: the call returns `undefined`. @throws {TypeError} @internal */
export function requireFastify (done: unknown, example: string): void {
  if (typeof done === 'function') return
  throw new TypeError(`A hook such as ${example} was called, but a route takes the hook itself: write preHandler: ${example}; inside a handler, await request.verifyJwt()`)
}

/** Ends a hook, at once or when its promise is settled. */
function finish (pending: MaybePromise<void>, request: FastifyRequest, done: HookHandlerDoneFunction): void {
  if (pending === undefined) pass(request, done)
  else pending.then(() => { pass(request, done) }, (error: unknown) => { fail(request, error, done) })
}

/** Runs a check as a Fastify hook, synchronously if it can. @internal */
export function runAsHook (check: (request: FastifyRequest) => MaybePromise<void>, request: FastifyRequest, done: HookHandlerDoneFunction): void {
  let pending: MaybePromise<void>
  try {
    pending = check(request)
  } catch (error) {
    fail(request, error, done)
    return
  }
  finish(pending, request, done)
}

/**
 * Creates a hook that verifies the token of a request, such as the four presets. It finds its registration through the request, so a
 * route module needs no `app`. Use it as `onRequest`, `preValidation` or `preHandler` hook, with `@fastify/auth`, or on a WebSocket
 * route.
 *
 * @param options What is required. Default: a valid access token.
 * @throws `FST_JWT_BAD_OPTION` if an option is unknown or wrong.
 */
export function verifyJwt (options: VerifyOptions = {}): JwtHook {
  const resolved = resolveHookOptions(options)
  // Nearly always the instance of the previous request. Then nothing has to be looked up.
  let last: { readonly server: FastifyInstance, readonly prepared: PreparedHook } | undefined

  const hook = forEveryServer(function (request, _reply, done) {
    requireFastify(done, 'jwtRequired')
    let pending: MaybePromise<void>
    try {
      const { server } = request
      if (last === undefined || last.server !== server) last = { server, prepared: nearest(request).prepare(resolved) }
      pending = last.prepared.authenticate(request)
    } catch (error) {
      fail(request, error, done)
      return
    }
    finish(pending, request, done)
  })
  return Object.defineProperties(hook, { [kHook]: { value: resolved }, name: { value: hookName({ hook: resolved }) } })
}

/** Requires a valid access token. */
export const jwtRequired: JwtHook = verifyJwt()

/** Accepts every request, unless the store does not answer (503). Without a valid access token, the request is anonymous. */
export const jwtOptional: JwtHook = verifyJwt({ optional: true })

/** Requires a valid access token that is fresh: created at a login, not by a refresh. */
export const freshJwtRequired: JwtHook = verifyJwt({ fresh: true })

/** Requires a valid refresh token. */
export const refreshTokenRequired: JwtHook = verifyJwt({ type: 'refresh' })

/** `request.verifyJwt`: what a hook does, from inside a handler. @internal */
export async function verifyRequest (this: FastifyRequest, options: VerifyOptions = {}): Promise<void> {
  try {
    await nearest(this).prepare(resolveHookOptions(options)).authenticate(this)
    forgetRefusal(this)
  } catch (error) {
    rememberRefusal(this, error)
    throw conceal(error)
  }
}

/**
 * Refuses cross-origin requests by Fetch Metadata, for every method, and with or without a token. It is for routes that change state
 * without a token, such as a login (login CSRF). Uses the `trustedOrigins` option.
 *
 * @throws `FST_JWT_CSRF`
 */
export const crossOriginProtection: JwtHook = forEveryServer(function crossOriginProtection (request, _reply, done) {
  requireFastify(done, 'crossOriginProtection')
  try {
    const { settings } = nearest(request)
    // A route of ours decides for itself.
    if (!isForOwnRoute(request)) checkFetchMetadata(request, settings.trustedOrigins, settings.errors)
  } catch (error) {
    done(faultOf(error))
    return
  }
  done()
})

/** The options of a hook of this package; `undefined` for any other function. @internal */
export function hookOptionsOf (hook: unknown): HookOptions | undefined {
  return typeof hook === 'function' ? (hook as { readonly [kHook]?: HookOptions })[kHook] : undefined
}

/**
 * Prepares the hooks of a route when the route is declared. So a hook that can't work there stops start-up, instead of failing on a
 * request.
 *
 * @throws `FST_JWT_BAD_OPTION`
 *
 * @internal
 */
export function checkRouteHooks (registration: Registration, route: RouteOptions): void {
  for (const phase of ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const) {
    for (const hook of [route[phase] ?? []].flat()) {
      const options = hookOptionsOf(hook)
      if (options === undefined) continue
      const { needsBody } = registration.prepare(options)
      if (phase === 'preParsing') {
        throw badOption('preParsing', `of route ${route.url} holds a JWT hook, which takes other arguments; use onRequest, preValidation or preHandler`)
      }
      if (phase === 'onRequest' && needsBody !== null) {
        throw badOption('onRequest', `of route ${route.url} holds a JWT hook that looks for a ${needsBody} in the body, which is not parsed yet; use preValidation or preHandler`)
      }
    }
  }
}
