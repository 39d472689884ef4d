import { readHookName } from './hook-name.ts'
import type { Asked } from './hook-name.ts'

/** A line of the tree: what is drawn before the text, a part of a path, and the methods of the routes that end there. */
const routeLine = /^([│├└─\s]*)(.*?)(?: \(([A-Z, -]+)\)(?: \{.*)?)?$/

/** The hooks of the route above: a phase, and the names of the functions as JSON. */
const hookLine = /^[│\s]*• \((onRequest|preValidation|preHandler)\) (\[.*\])$/

/** A hook or guard of this package, or another function by its name. */
export type Printed = Asked | string

/**
 * Reads what `fastify.printRoutes({ includeHooks: true })` prints: the hooks and guards of this package on each route, including those
 * added by `addHook`.
 *
 * @returns By method and path, such as `GET /users/:id`: a list for each route, since routes may differ only in a constraint. A route that
 *   is printed differently is missing.
 */
export function readPrintedHooks (tree: string): ReadonlyMap<string, ReadonlyArray<readonly Asked[]>> {
  const isOurs = (hook: Printed): hook is Asked => typeof hook !== 'string'
  return new Map([...readAllPrintedHooks(tree)].map(([route, lists]) => [route, lists.map(list => list.filter(isOurs))]))
}

/** The same, with other functions by their names. */
export function readAllPrintedHooks (tree: string): ReadonlyMap<string, ReadonlyArray<readonly Printed[]>> {
  const hooks = new Map<string, Printed[][]>()
  /** The parts of the path that is being read, each with the column in which it begins. */
  const parts: { readonly column: number, readonly path: string }[] = []
  /** The lists of the routes on the line above. */
  let current: Printed[][] = []

  for (const line of tree.split('\n')) {
    const [, , names] = hookLine.exec(line) ?? []
    if (names !== undefined) {
      const asked = (JSON.parse(names) as string[]).map(name => name.replace(/\(\)$/, '')).map(name => readHookName(name) ?? name)
      for (const route of current) route.push(...asked)
      continue
    }
    if (line.includes('• (')) continue
    const [, drawn = '', part = '', methods = ''] = routeLine.exec(line) as RegExpExecArray
    while ((parts.at(-1)?.column ?? -1) >= drawn.length) parts.pop()
    const path = (parts.at(-1)?.path ?? '') + part
    parts.push({ column: drawn.length, path })
    current = methods.split(', ').map(method => {
      const route: Printed[] = []
      const name = `${method} ${path}`
      const others = hooks.get(name)
      if (others === undefined) hooks.set(name, [route])
      else others.push(route)
      return route
    })
  }
  return hooks
}
