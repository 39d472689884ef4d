import { protectionOf } from '../authenticate/protect.ts'
import { readAllPrintedHooks } from '../printed-hooks.ts'
import { registrationOf } from '../registration.ts'
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { Printed } from '../printed-hooks.ts'
import type { Registration } from '../registration.ts'
import type { Requirement } from './requirement.ts'

/** Whether a guard verifies a token itself, as `anyOf(role('admin'), freshJwtRequired)` may. */
function verifies (requirement: Requirement): boolean {
  switch (requirement.kind) {
    case 'token': return true
    case 'anyOf':
    case 'allOf': return requirement.of.some(verifies)
    // `not` takes no hook that verifies a token.
    case 'not':
    case 'role':
    case 'permission':
    case 'scope':
    case 'device':
    case 'custom': return false
  }
}

/** The hooks of `@fastify/cookie`, which this package registers itself. Any other function may verify a token. */
const harmless = /^fastifyCookie/

/** Whether a guard that does not verify a token runs before any hook that may. */
function isLone (hooks: readonly Printed[]): boolean {
  const first = hooks.find(hook => typeof hook !== 'string' || !harmless.test(hook))
  return first !== undefined && typeof first !== 'string' && 'guard' in first && !verifies(first.guard)
}

/** Warns at start-up of routes that have a guard but no hook before it that verifies a token. They refuse every request. */
export function warnOfLoneGuards (fastify: FastifyInstance, registration: Registration): void {
  const declared = new Map<string, { url: string, config: RouteOptions['config'] }>()
  fastify.addHook('onRoute', function ({ method, url, config }) {
    if (registrationOf(this) !== registration) return
    for (const name of [method].flat()) declared.set(`${name} ${url}`, { url, config })
  })
  fastify.addHook('onReady', async () => {
    const printed = readAllPrintedHooks(fastify.printRoutes({ includeHooks: true }))
    const lone = [...declared].filter(([name, route]) => printed.get(name)?.some(isLone) === true && protectionOf(registration, route) === null)
    if (lone.length === 0) return
    fastify.log.warn(`These routes have a guard such as role('admin') and no hook before it that verifies a token, so that they refuse every request: ${lone.map(([name]) => name).join(', ')}. Put jwtRequired before the guard`)
  })
}
