import { subscribe } from 'node:diagnostics_channel'
import { badOption } from '../errors.ts'
import type { FastifyInstance, RouteOptions } from 'fastify'

const phases = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const

/** The first hook of an instance that is `undefined`: its phase and its route. */
const found = new WeakMap<FastifyInstance, string>()

function look (instance: FastifyInstance, route: RouteOptions): void {
  // If no hook was given, the route does not have the property.
  const phase = phases.find(phase => Object.hasOwn(route, phase) && route[phase] === undefined)
  if (phase !== undefined && !found.has(instance)) found.set(instance, `${phase}' of route '${route.url}`)
}

// Fastify ignores a hook that is `undefined`, and `app.jwtRequired` is `undefined` until the plugin is loaded: such a route would be open
// to everyone. Only this channel sees routes that are declared before that.
subscribe('fastify.initialization', message => {
  const { fastify } = message as { fastify: FastifyInstance }
  fastify.addHook('onRoute', function (route) { look(this, route) })
})

/** Stops start-up if a route of this instance was declared with a hook that is `undefined`. @throws `FST_JWT_BAD_OPTION` */
export function refuseUndefinedHooks (fastify: FastifyInstance): void {
  const hook = found.get(fastify)
  if (hook === undefined) return
  throw badOption(hook, "is undefined, which Fastify ignores, so the route would be open: app.jwtRequired does not exist before the plugin is loaded. Import the hook, as in import jwt, { jwtRequired } from 'fastify-jwt-extended', or await app.register(jwt, { … }) before the routes")
}
