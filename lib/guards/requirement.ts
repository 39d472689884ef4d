import type { HookOptions } from '../authenticate/hook-options.ts'

/** What a guard requires, for documentation. @internal */
export type Requirement =
  | { readonly kind: 'role' | 'permission' | 'scope', readonly names: readonly string[], readonly match: 'any' | 'all' }
  | { readonly kind: 'device' }
  | { readonly kind: 'custom', readonly message: string }
  | { readonly kind: 'token', readonly options: HookOptions }
  | { readonly kind: 'anyOf' | 'allOf', readonly of: readonly Requirement[] }
  | { readonly kind: 'not', readonly of: Requirement }
