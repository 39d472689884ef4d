import type { HookOptions } from './authenticate/hook-options.ts'
import type { Requirement } from './guards/requirement.ts'

/** What a hook or a guard asks for. */
export type Asked = { readonly hook: HookOptions } | { readonly guard: Requirement }

const mark = 'jwt '

/**
 * The name of a hook's function, which says what the hook asks for. `fastify.printRoutes({ includeHooks: true })` shows it. No other public
 * API of Fastify tells which hooks `addHook` has added to a route.
 */
export function hookName (asked: Asked): string {
  return mark + JSON.stringify(asked)
}

/** Reads a name back; `null` for any other function. */
export function readHookName (name: string): Asked | null {
  return name.startsWith(`${mark}{`) ? JSON.parse(name.slice(mark.length)) as Asked : null
}
