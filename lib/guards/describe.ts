import type { HookOptions } from '../authenticate/hook-options.ts'
import type { Requirement } from './requirement.ts'

/** `role: admin`, `role: admin or editor`, `roles: staff and auditor`. */
export function describeNames (kind: string, names: readonly string[], match: 'any' | 'all'): string {
  return `${kind}${match === 'all' && names.length > 1 ? 's' : ''}: ${names.join(match === 'all' ? ' and ' : ' or ')}`
}

/** `a fresh access token`. */
export function describeToken ({ type, fresh }: Pick<HookOptions, 'type' | 'fresh'>): string {
  if (type === 'any') return 'an access or refresh token'
  if (type === 'refresh') return 'a refresh token'
  return fresh ? 'a fresh access token' : 'an access token'
}

/** The requirement of a guard in words: `role: admin or (role: editor and permission: articles:write)`. */
export function describe (requirement: Requirement, nested = false): string {
  switch (requirement.kind) {
    case 'role':
    case 'permission':
    case 'scope': return describeNames(requirement.kind, requirement.names, requirement.match)
    case 'token': return describeToken(requirement.options)
    case 'device': return 'a session bound to its device'
    case 'custom': return 'a check of the application'
    case 'not': return `not (${describe(requirement.of)})`
    case 'anyOf':
    case 'allOf': {
      const text = requirement.of.map(member => describe(member, requirement.of.length > 1)).join(requirement.kind === 'anyOf' ? ' or ' : ' and ')
      return nested && requirement.of.length > 1 ? `(${text})` : text
    }
  }
}
