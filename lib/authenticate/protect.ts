import { badOption } from '../errors.ts'
import { registrationOf } from '../registration.ts'
import { authenticate } from './authenticate.ts'
import { resolveHookOptions } from './check.ts'
import { checkFor, hookOptionsOf, runAsHook } from './hooks.ts'
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import type { Registration } from '../registration.ts'
import type { Check, HookOptions } from './check.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { VerifyOptions } from '../types/hooks.ts'

/** In a route's config: the route carries a hook that requires a token, and so decides for itself. */
const kOwnHook = Symbol('fastify-jwt-extended.ownHook')
/** On a request: the check that waits for the body. */
const kPending = Symbol('fastify-jwt-extended.pendingCheck')

declare module 'fastify' {
  interface FastifyContextConfig {
    [kOwnHook]?: true
  }
  interface FastifyRequest {
    [kPending]: Verification | null
  }
}

/** What is done with a request of one route, decided once. */
interface Verification {
  readonly registration: Registration
  readonly check: Check
  /** Verified once the body is there, since the token, or what goes with it, may be in it. */
  readonly needsBody: boolean
}

/** Where a registration was made. */
const instances = new WeakMap<Registration, FastifyInstance>()

/**
 * Who decides for the routes of a registration: itself where `protect` was given, else the one above it. Asked late, since
 * the one above may load after the one below.
 */
function governorOf (registration: Registration): Registration {
  const instance = instances.get(registration) as FastifyInstance
  const above = registrationOf(Object.getPrototypeOf(instance) as FastifyInstance)
  return registration.settings.protect !== null || above === undefined ? registration : governorOf(above)
}

const jwtRequired = resolveHookOptions({})

/** The hooks of a route that run before its handler. */
function routeHooks (route: RouteOptions): readonly unknown[] {
  return [route.onRequest, route.preValidation, route.preHandler].flat()
}

/** Whether a pattern is one of the paths, or begins with one that ends in `*`. Case and trailing slash count. */
function isSkipped (pattern: string, paths: readonly string[]): boolean {
  return paths.some(path => path.endsWith('*') ? pattern.startsWith(path.slice(0, -1)) : pattern === path)
}

function optionsOf (jwt: VerifyOptions, url: string): HookOptions {
  try {
    return resolveHookOptions(jwt)
  } catch (error) {
    throw badOption('config.jwt', `of route ${url} takes false, or options of verifyJwt: ${(error as Error).message}`)
  }
}

/** What `protect` asks of a route; `null` when it leaves it alone. */
function requirementOf (registration: Registration, url: string, jwt: false | VerifyOptions | undefined, hasOwnHook: boolean): HookOptions | null {
  if (jwt === false) return null
  if (jwt !== undefined) return optionsOf(jwt, url)
  return hasOwnHook || isSkipped(url, registration.settings.skipPaths) ? null : jwtRequired
}

/**
 * What `protect` asks of a route besides its hooks; `null` where nothing.
 *
 * @param registration The nearest to the route.
 * @throws `FST_JWT_BAD_OPTION` when the route's `config.jwt` is none.
 */
export function protectionOf (registration: Registration, route: { url: string, config: RouteOptions['config'] }): HookOptions | null {
  const governor = governorOf(registration)
  if (governor.settings.protect !== true) return null
  return requirementOf(governor, route.url, route.config?.jwt, route.config?.[kOwnHook] === true)
}

function createVerification (registration: Registration, options: HookOptions): Verification {
  const check = checkFor(registration, options)
  const { csrfCheckForm } = registration.settings
  const needsBody = check.locators.some(({ location, cookie }) => location === 'json' || (cookie !== null && csrfCheckForm))
  return Object.freeze({ registration, check, needsBody })
}

/**
 * Puts `jwtRequired` on every route of the context, those declared before the plugin too, but for `skipPaths` and what
 * a route's `config.jwt` says. It is matched against the pattern of the route that has been found, never the
 * URL: no spelling of a URL gets a request to a protected handler.
 */
function addProtection (fastify: FastifyInstance, governor: Registration): void {
  const decisions = new WeakMap<object, Verification | 'none'>()

  function decide (request: FastifyRequest, config: NonNullable<FastifyRequest['routeOptions']['config']>, url: string): Verification | 'none' {
    const nearest = registrationOf(request.server) as Registration
    if (governorOf(nearest) !== governor) return 'none'
    const options = requirementOf(governor, url, config.jwt, config[kOwnHook] === true)
    return options === null ? 'none' : createVerification(nearest, options)
  }

  function verify (request: FastifyRequest): MaybePromise<void> {
    // What is no route has nothing to protect, and stays a 404.
    if (request.is404) return
    const { config, url } = request.routeOptions
    let decision = decisions.get(config)
    if (decision === undefined) decisions.set(config, decision = decide(request, config, url as string))
    if (decision === 'none') return
    if (decision.needsBody) {
      request[kPending] = decision
      return
    }
    return authenticate(decision.registration, request, decision.check)
  }

  function verifyWithBody (request: FastifyRequest, { registration, check }: Verification): MaybePromise<void> {
    request[kPending] = null
    return authenticate(registration, request, check)
  }

  if (!fastify.hasRequestDecorator(kPending)) fastify.decorateRequest(kPending, null)
  fastify.addHook('onRequest', function protect (request, _reply, done) {
    runAsHook(verify, request, undefined, done)
  })
  fastify.addHook('preValidation', function protectWithBody (request, _reply, done) {
    const pending = request[kPending]
    if (pending === null) done()
    else runAsHook(verifyWithBody, request, pending, done)
  })
}

/** A path that opens no route is a spelling mistake, or a route that has gone: worth a word, since the route meant stays shut. */
function warnOfUnusedPaths (fastify: FastifyInstance, { settings }: Registration): void {
  const urls = new Set<string>()
  fastify.addHook('onRoute', route => { urls.add(route.url) })
  fastify.addHook('onReady', async () => {
    for (const path of settings.skipPaths) {
      const known = [...urls].some(url => isSkipped(url, [path])) ||
        // A route declared before the plugin has not been seen.
        fastify.supportedMethods.some(method => fastify.hasRoute({ method, url: path }))
      if (!known) fastify.log.warn(`skipPaths: '${path}' matches no route; it is compared with route patterns, prefix, case and trailing slash included`)
    }
  })
}

/**
 * Carries out the `protect`, `skipPaths` and `config.jwt` options for one registration.
 *
 * A registration inside another that does not say `protect` is protected as the one above it says, with its own keys: that
 * a context has other options does not open its routes. `protect: false` does.
 */
export function protect (fastify: FastifyInstance, registration: Registration): void {
  instances.set(registration, fastify)

  fastify.addHook('onRoute', function (route) {
    if (registrationOf(this) !== registration) return
    const jwt = route.config?.jwt
    if (governorOf(registration).settings.protect !== true) {
      // Silence here would leave a route open that was meant to be shut.
      if (jwt !== undefined && jwt !== false) throw badOption('config.jwt', `of route ${route.url} does nothing without protect: true; add it, or give the route a hook`)
      return
    }
    if (routeHooks(route).some(hook => hookOptionsOf(hook)?.optional === false)) route.config = { ...route.config, [kOwnHook]: true }
    const options = protectionOf(registration, { url: route.url, config: route.config })
    // Fitted now, so that what can't work stops start-up.
    if (options !== null) createVerification(registration, options)
  })
  if (registration.settings.protect !== true) return
  addProtection(fastify, registration)
  warnOfUnusedPaths(fastify, registration)
}
