import type { FastifyInstance } from 'fastify'

/**
 * What Fastify keeps on an instance under a symbol of its own, and has no public way to ask for. Whoever calls this says
 * what holds should Fastify keep it elsewhere one day.
 *
 * @param description Of the symbol.
 * @returns `undefined` where there is none.
 */
export function internalOf (instance: FastifyInstance, description: 'fastify.hooks' | 'fastify.acceptedHTTPMethods'): unknown {
  for (let object: object | null = instance; object !== null; object = Object.getPrototypeOf(object) as object | null) {
    const symbol = Object.getOwnPropertySymbols(object).find(symbol => symbol.description === description)
    if (symbol !== undefined) return Reflect.get(instance, symbol)
  }
  return undefined
}
