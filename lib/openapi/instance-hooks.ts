import { fieldOf } from '../request/locate.ts'
import type { FastifyInstance } from 'fastify'

function symbolOf (instance: object): symbol | undefined {
  for (let object: object | null = instance; object !== null; object = Object.getPrototypeOf(object) as object | null) {
    const symbol = Object.getOwnPropertySymbols(object).find(({ description }) => description === 'fastify.hooks')
    if (symbol !== undefined) return symbol
  }
  return undefined
}

/**
 * The hooks that `addHook` has given an instance. Fastify has no public way to ask, and wrapping `addHook` would miss those
 * added before; where Fastify should keep them elsewhere one day, they are missing in the document and nowhere else.
 */
export function instanceHooks (instance: FastifyInstance, phase: 'onRequest' | 'preValidation' | 'preHandler'): readonly unknown[] {
  const symbol = symbolOf(instance)
  const hooks = symbol === undefined ? undefined : fieldOf(Reflect.get(instance, symbol), phase)
  return Array.isArray(hooks) ? hooks : []
}
