import { badOption } from '../errors.ts'
import { readPrintedHooks } from '../printed-hooks.ts'
import { registrationOf } from '../registration.ts'
import { resolveHookOptions } from './hook-options.ts'
import { hookOptionsOf, runAsHook } from './hooks.ts'
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import type { PreparedHook, Registration } from '../registration.ts'
import type { HookOptions } from './hook-options.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { VerifyOptions } from '../types/hooks.ts'

/** In a route's config: whether the route has its own hook that requires a token. */
const kOwnHook = Symbol('fastify-jwt-extended.ownHook')
/** On a request: the hook that waits for the body. Not a decorator, since a context declared before the plugin would not have it. */
const kPending = Symbol('fastify-jwt-extended.pendingHook')

declare module 'fastify' {
  interface FastifyContextConfig {
    [kOwnHook]?: boolean
  }
  interface FastifyRequest {
    [kPending]?: PreparedHook | undefined
  }
}

/** The policy owner: the registration itself if `protect` was given, else the enclosing one. Not cached, since that may load later. */
function policyOwnerOf (registration: Registration): Registration {
  const above = registrationOf(Object.getPrototypeOf(registration.instance) as FastifyInstance)
  return registration.settings.protect !== null || above === undefined ? registration : policyOwnerOf(above)
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

/** What `protect` requires of a route; `null` for nothing. */
function requirementOf (registration: Registration, url: string, jwt: false | VerifyOptions | undefined, hasOwnHook: boolean): HookOptions | null {
  if (jwt === false) return null
  if (jwt !== undefined) return optionsOf(jwt, url)
  return hasOwnHook || isSkipped(url, registration.settings.skipPaths) ? null : jwtRequired
}

/**
 * What `protect` requires of a route in addition to its hooks; `null` for nothing.
 *
 * @param registration The registration nearest to the route.
 * @throws `FST_JWT_BAD_OPTION` if the route's `config.jwt` is invalid.
 */
export function protectionOf (registration: Registration, route: { url: string, config: RouteOptions['config'] }): HookOptions | null {
  const owner = policyOwnerOf(registration)
  if (owner.settings.protect !== true) return null
  return requirementOf(owner, route.url, route.config?.jwt, route.config?.[kOwnHook] === true)
}

/**
 * Puts `jwtRequired` on every route of the context, also on routes declared before the plugin. `skipPaths` and `config.jwt` make
 * exceptions. `skipPaths` are compared with the pattern of the route that was found, never with the URL: no spelling of a URL gets past the
 * protection.
 */
function addProtection (fastify: FastifyInstance, owner: Registration): void {
  const decisions = new WeakMap<object, PreparedHook | 'open'>()
  let printed: ReturnType<typeof readPrintedHooks> | undefined

  /** Whether a route that was declared before the plugin has a hook that requires a token. If this is unclear, the answer is no. */
  function hasEarlyHook ({ method, routeOptions: { url } }: FastifyRequest): boolean {
    printed ??= readPrintedHooks(fastify.printRoutes({ includeHooks: true }))
    const [hooks = [], another] = printed.get(`${method} ${url}`) ?? []
    return another === undefined && hooks.some(asked => 'hook' in asked && asked.hook.optional === false)
  }

  function decide (request: FastifyRequest): PreparedHook | 'open' {
    const { server, routeOptions: { config, url } } = request
    const nearest = registrationOf(server) as Registration
    if (policyOwnerOf(nearest) !== owner) return 'open'
    const options = requirementOf(owner, url as string, config.jwt, config[kOwnHook] ?? hasEarlyHook(request))
    return options === null ? 'open' : nearest.prepare(options)
  }

  function verify (request: FastifyRequest): MaybePromise<void> {
    // Without a route there is nothing to protect: the response stays a 404.
    if (request.is404) return
    const { config } = request.routeOptions
    let decision = decisions.get(config)
    if (decision === undefined) decisions.set(config, decision = decide(request))
    if (decision === 'open') return
    if (decision.needsBody === null) return decision.authenticate(request)
    request[kPending] = decision
  }

  function verifyWithBody (request: FastifyRequest): MaybePromise<void> {
    const pending = request[kPending]
    request[kPending] = undefined
    return pending?.authenticate(request)
  }

  fastify.addHook('onRequest', function protect (request, _reply, done) {
    runAsHook(verify, request, done)
  })
  fastify.addHook('preValidation', function protectWithBody (request, _reply, done) {
    if (request[kPending] === undefined) done()
    else runAsHook(verifyWithBody, request, done)
  })
}

/** Warns of a path in `skipPaths` that matches no route. It is misspelt, or the route was removed. The intended route stays protected. */
function warnOfUnusedPaths (fastify: FastifyInstance, { settings }: Registration): void {
  const urls = new Set<string>()
  fastify.addHook('onRoute', route => { urls.add(route.url) })
  fastify.addHook('onReady', async () => {
    for (const path of settings.skipPaths) {
      const known = [...urls].some(url => isSkipped(url, [path])) ||
        // `onRoute` does not see a route declared before the plugin.
        fastify.supportedMethods.some(method => fastify.hasRoute({ method, url: path }))
      if (!known) fastify.log.warn(`skipPaths: '${path}' matches no route; it is compared with route patterns, prefix, case and trailing slash included`)
    }
  })
}

/**
 * Carries out the `protect`, `skipPaths` and `config.jwt` options for one registration.
 *
 * A nested registration without `protect` inherits it from the enclosing one, and uses its own keys. So other options alone do not open the
 * routes of a context; `protect: false` does.
 */
export function protect (fastify: FastifyInstance, registration: Registration): void {
  fastify.addHook('onRoute', function (route) {
    if (registrationOf(this) !== registration) return
    const jwt = route.config?.jwt
    if (policyOwnerOf(registration).settings.protect !== true) {
      // Otherwise a route that was meant to be protected would be open.
      if (jwt !== undefined && jwt !== false) throw badOption('config.jwt', `of route ${route.url} does nothing without protect: true; add it, or give the route a hook`)
      return
    }
    route.config = { ...route.config, [kOwnHook]: routeHooks(route).some(hook => hookOptionsOf(hook)?.optional === false) }
    const options = protectionOf(registration, { url: route.url, config: route.config })
    // Prepared now, so that a hook that can't work stops start-up.
    if (options !== null) registration.prepare(options)
  })
  if (registration.settings.protect !== true) return
  addProtection(fastify, registration)
  warnOfUnusedPaths(fastify, registration)
}
