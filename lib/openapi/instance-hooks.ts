import { internalOf } from '../fastify-internals.ts'
import { fieldOf } from '../authenticate/locate.ts'
import type { FastifyInstance } from 'fastify'

/**
 * The hooks that `addHook` has given an instance. Wrapping `addHook` would miss those added before; where Fastify should
 * keep them elsewhere one day, they are missing in the document and nowhere else.
 */
export function instanceHooks (instance: FastifyInstance, phase: 'onRequest' | 'preValidation' | 'preHandler'): readonly unknown[] {
  const hooks = fieldOf(internalOf(instance, 'fastify.hooks'), phase)
  return Array.isArray(hooks) ? hooks : []
}
