import { badOption, defaultErrors } from '../errors.ts'
import { registrationOf } from '../registration.ts'
import { authenticate } from './authenticate.ts'
import { createCheck, resolveHookOptions } from './check.ts'
import { checkFetchMetadata } from './fetch-metadata.ts'
import type { FastifyInstance, FastifyRequest, HookHandlerDoneFunction, RouteOptions } from 'fastify'
import type { Registration } from '../registration.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { JwtHook, VerifyOptions } from '../types/hooks.ts'
import type { Check, HookOptions } from './check.ts'

/** The hooks made here, so that a route's can be recognised when it is declared. */
const optionsOfHook = new WeakMap<object, HookOptions>()

/** A hook's options fitted to a registration, kept for as long as both live. */
const checks = new WeakMap<Registration, WeakMap<HookOptions, Check>>()

/** A hook's options fitted to a registration, once. @throws `FST_JWT_BAD_OPTION` @internal */
export function checkFor (registration: Registration, options: HookOptions): Check {
  let known = checks.get(registration)
  if (known === undefined) checks.set(registration, known = new WeakMap())
  let check = known.get(options)
  if (check === undefined) known.set(options, check = createCheck(options, registration.settings))
  return check
}

/** The registration a request is answered under. @throws `FST_JWT_NOT_REGISTERED` @internal */
export function nearest (request: FastifyRequest): Registration {
  const registration = registrationOf(request.server)
  if (registration === undefined) {
    throw defaultErrors.FST_JWT_NOT_REGISTERED('fastify-jwt-extended is not registered in the context of this route, or not yet: register it there, or above, before its routes')
  }
  return registration
}

/**
 * What a hook ends with when something was thrown: a callback may throw anything, or reject with nothing, and
 * `done(undefined)` would let the request pass.
 */
function faultOf (thrown: unknown): Error {
  if (typeof thrown === 'object' && thrown !== null) return thrown as Error
  return new Error('A callback of fastify-jwt-extended failed with something that is no error', { cause: thrown })
}

/** Ends a hook that has no promise to wait for, or when it is settled. */
function finish (pending: MaybePromise<void>, done: HookHandlerDoneFunction): void {
  if (pending === undefined) done()
  else pending.then(() => { done() }, error => { done(faultOf(error)) })
}

/** Runs a check as a Fastify hook, at once where it can. @internal */
export function runAsHook<T> (check: (request: FastifyRequest, subject: T) => MaybePromise<void>, request: FastifyRequest, subject: T, done: HookHandlerDoneFunction): void {
  let pending: MaybePromise<void>
  try {
    pending = check(request, subject)
  } catch (error) {
    done(faultOf(error))
    return
  }
  finish(pending, done)
}

/**
 * A hook that verifies the token of a request; the four presets are made of it. It finds its instance through
 * the request, so a route module needs no handle on the app. Use it as `onRequest`, `preValidation` or
 * `preHandler` hook, with `@fastify/auth`, or on a WebSocket route.
 *
 * @param options What must be there. Default: a valid access token.
 * @throws `FST_JWT_BAD_OPTION` at once, when an option is unknown or of the wrong kind.
 */
export function verifyJwt (options: VerifyOptions = {}): JwtHook {
  const resolved = resolveHookOptions(options)
  // Nearly always the instance of the request before: then nothing has to be looked up.
  let last: { readonly server: FastifyInstance, readonly registration: Registration, readonly check: Check } | undefined

  const hook: JwtHook = function (request, _reply, done) {
    let pending: MaybePromise<void>
    try {
      const { server } = request
      if (last === undefined || last.server !== server) {
        const registration = nearest(request)
        last = { server, registration, check: checkFor(registration, resolved) }
      }
      pending = authenticate(last.registration, request, last.check)
    } catch (error) {
      done(faultOf(error))
      return
    }
    finish(pending, done)
  }
  optionsOfHook.set(hook, resolved)
  return hook
}

/** Passes when a valid access token is present. */
export const jwtRequired: JwtHook = verifyJwt()

/** Passes always, save for a store that does not answer; without a token that would pass, the request is anonymous. */
export const jwtOptional: JwtHook = verifyJwt({ optional: true })

/** Passes when a valid access token is present that is fresh: made at a login, not by a refresh. */
export const freshJwtRequired: JwtHook = verifyJwt({ fresh: true })

/** Passes when a valid refresh token is present. */
export const refreshTokenRequired: JwtHook = verifyJwt({ type: 'refresh' })

/** `request.verifyJwt`: what a hook does, from inside a handler. @internal */
export async function verifyRequest (this: FastifyRequest, options: VerifyOptions = {}): Promise<void> {
  const registration = nearest(this)
  await authenticate(registration, this, createCheck(resolveHookOptions(options), registration.settings))
}

/**
 * Refuses a cross-origin request by its Fetch Metadata, whatever its method and whether or not it carries a
 * token: for routes that change something without one, such as a login (login CSRF). Uses the
 * `trustedOrigins` option.
 *
 * @throws `FST_JWT_CSRF`
 */
export const crossOriginProtection: JwtHook = function (request, _reply, done) {
  try {
    const { settings } = nearest(request)
    checkFetchMetadata(request, settings.trustedOrigins, settings.errors)
  } catch (error) {
    done(error as Error)
    return
  }
  done()
}

/** What a function asks of a request if it is a hook made here. @internal */
export function hookOptionsOf (hook: unknown): HookOptions | undefined {
  return typeof hook === 'function' ? optionsOfHook.get(hook) : undefined
}

/**
 * Fits the hooks of a route to their instance when the route is declared, so that a hook that can't work there
 * stops start-up and not the first request.
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
      const check = checkFor(registration, options)
      if (phase === 'preParsing') {
        throw badOption('preParsing', `of route ${route.url} holds a JWT hook, which takes other arguments; use onRequest, preValidation or preHandler`)
      }
      if (phase === 'onRequest' && check.locators.some(locator => locator.location === 'json')) {
        throw badOption('onRequest', `of route ${route.url} holds a JWT hook that looks into the body, which is not there yet; use preValidation or preHandler, or a hook with locations without 'json'`)
      }
    }
  }
}
