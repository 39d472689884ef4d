import { annotate, describeRoute, extension } from './annotate.ts'
import { askedOf, combineHooks } from './route-requirement.ts'
import { toYaml } from './yaml.ts'
import { protectionOf } from '../authenticate/protect.ts'
import { readPrintedHooks } from '../printed-hooks.ts'
import { registrationOf } from '../registration.ts'
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { DocumentedRoute } from './annotate.ts'
import type { RouteRequirement } from './route-requirement.ts'
import type { Registration } from '../registration.ts'

/** The decorator of `@fastify/swagger`. */
type Swagger = (this: unknown, options?: { yaml?: boolean }) => unknown

/** The routes of all documents, by the extension in their operations. */
const routes = new WeakMap<object, DocumentedRoute>()

/** The routes that the registrations of an app have seen, by its server. One registration may see a route that another does not. */
const seen = new WeakMap<object, Set<string>>()

/** The decorators that replace those of `@fastify/swagger`. */
const wrapped = new WeakSet<object>()

/** The nearest instance that has the decorator of `@fastify/swagger`; `null` if there is none. */
function swaggerOwner (instance: object): object | null {
  let owner: object | null = instance
  while (owner !== null && !Object.hasOwn(owner, 'swagger')) owner = Object.getPrototypeOf(owner) as object | null
  return owner
}

function wrapSwagger (owner: object): void {
  const original: unknown = Reflect.get(owner, 'swagger')
  if (typeof original !== 'function' || wrapped.has(original)) return
  const swagger = original as Swagger
  // @fastify/swagger returns the same document each time, and so does the replacement.
  const annotated = new WeakMap<object, { document: unknown, yaml?: string }>()

  const withSecurity: Swagger = function (options) {
    const plain = swagger.call(this)
    if (typeof plain !== 'object' || plain === null) return swagger.call(this, options)
    let known = annotated.get(plain)
    if (known === undefined) annotated.set(plain, known = { document: annotate(plain, marker => routes.get(marker)) })
    if (known.document === plain) return swagger.call(this, options)
    if (options?.yaml !== true) return known.document
    known.yaml ??= toYaml(known.document as object)
    return known.yaml
  }
  wrapped.add(withSecurity)
  Reflect.set(owner, 'swagger', withSecurity)
}

/** The requirement of a route. Uses its printed hooks, or its declared hooks if it is not printed as it was declared. */
function requirementOf (registration: Registration, route: RouteOptions, url: string, printed: ReturnType<typeof readPrintedHooks>): RouteRequirement | null {
  const [method] = [route.method].flat()
  const hooks = printed.get(`${method} ${url}`)?.flat() ?? [route.onRequest, route.preValidation, route.preHandler].flat().flatMap(askedOf)
  return combineHooks(protectionOf(registration, { url, config: route.config }), hooks)
}

/** `onRoute` does not see a route that was declared before the plugin. */
function warnOfEarlyRoutes (fastify: FastifyInstance, printed: ReturnType<typeof readPrintedHooks>, known: ReadonlySet<string>): void {
  const early = [...printed].filter(([route, hooks]) => !known.has(route) && hooks.flat().length > 0).map(([route]) => route)
  if (early.length === 0) return
  fastify.log.warn(`The OpenAPI document does not say what these routes require, since they were declared before fastify-jwt-extended: ${early.join(', ')}`)
}

/**
 * Adds what each route requires to the document of `@fastify/swagger`: `security`, the responses 401 and 403, and the security schemes.
 * They follow from the hooks, from `protect` and from the options. What a route's own schema says stays. `@fastify/swagger` may be
 * registered before or after this plugin, or not at all. A route that was declared before this plugin is not seen, and a log line names it.
 */
export function documentRoutes (fastify: FastifyInstance, registration: Registration): void {
  const declared: { instance: FastifyInstance, route: RouteOptions, url: string }[] = []
  const known = seen.get(fastify.server) ?? new Set()
  seen.set(fastify.server, known)
  fastify.addHook('onRoute', function (route) {
    for (const method of [route.method].flat()) known.add(`${method} ${route.url}`)
    // Fastify changes the URL of this object if a route is declared with and without a trailing slash: keep a copy.
    if (registrationOf(this) === registration) declared.push({ instance: this, route, url: route.url })
  })
  fastify.addHook('onReady', async () => {
    const printed = readPrintedHooks(fastify.printRoutes({ includeHooks: true }))
    for (const { instance, route, url } of declared) {
      const owner = swaggerOwner(instance)
      const requirement = owner === null ? null : requirementOf(registration, route, url, printed)
      if (owner === null || requirement === null) continue
      wrapSwagger(owner)
      const marker = describeRoute(requirement)
      routes.set(marker, { registration, requirement })
      // Fastify has compiled the route. From now on, only the document is made from this schema.
      route.schema = Object.assign({}, route.schema, { [extension]: marker })
    }
    declared.length = 0
    if (swaggerOwner(fastify) !== null) warnOfEarlyRoutes(fastify, printed, known)
  })
}
