import { describe, describeToken } from '../guards/describe.ts'
import { DocumentSchemes, schemesFor } from './security-schemes.ts'
import { alternativesOf } from './route-requirement.ts'
import type { Registration } from '../registration.ts'
import type { TokenType } from '../types/claims.ts'
import type { RouteRequirement } from './route-requirement.ts'
import type { SecurityScheme } from './security-schemes.ts'

/** The extension that says what a route requires. It also marks the operation, so that it is found in the document. */
export const extension = 'x-jwt'

/** The registration and the requirement of a documented route. */
export interface DocumentedRoute {
  readonly registration: Registration
  readonly requirement: RouteRequirement
}

/** An OpenAPI Operation Object, with the members that are read here. */
interface Operation {
  readonly [extension]?: object
  readonly operationId?: string
  readonly security?: readonly Record<string, readonly string[]>[]
  readonly responses?: Readonly<Record<string, unknown>>
}

/** An OpenAPI document, with the members that are read here. */
interface Document {
  readonly openapi: string
  readonly components?: { readonly securitySchemes?: Readonly<Record<string, SecurityScheme>> }
  readonly paths?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

function isDocument (value: unknown): value is Document {
  return typeof value === 'object' && value !== null && typeof (value as { openapi?: unknown }).openapi === 'string'
}

/** The value of the extension: what a route requires, for readers and generators. */
export function describeRoute ({ token, guards }: RouteRequirement): object {
  return {
    token: token.type,
    ...(token.fresh ? { fresh: true } : {}),
    ...(token.optional === false ? {} : { optional: token.optional }),
    ...(guards.length === 0 ? {} : { requires: describe({ kind: 'allOf', of: guards }) })
  }
}

/** The Security Requirement Objects of a route: one per alternative and location of the token. */
function securityOf ({ registration: { settings }, requirement }: DocumentedRoute, method: string, openapi: string, schemes: DocumentSchemes): Record<string, readonly string[]>[] {
  const security = new Map<string, Record<string, readonly string[]>>()
  const add = (entry: Record<string, readonly string[]>): void => { security.set(JSON.stringify(entry), entry) }
  // Before OpenAPI 3.1, only OAuth 2.0 and OpenID Connect schemes may list names.
  const rolesAllowed = !openapi.startsWith('3.0')

  for (const { token, scopes, roles } of alternativesOf(requirement)) {
    const types: readonly TokenType[] = token.type === 'any' ? ['access', 'refresh'] : [token.type]
    for (const location of token.locations ?? settings.tokenLocation) {
      for (const type of types) {
        for (const together of schemesFor(location, type, method, settings)) {
          add(Object.fromEntries(together.map((wanted, index) => {
            const { name, scheme } = schemes.find(wanted)
            const oauth = scheme.type === 'oauth2' || scheme.type === 'openIdConnect'
            const names = oauth ? scopes : rolesAllowed && index === 0 ? [...roles, ...scopes] : []
            return [name, [...new Set(names)]] as const
          })))
        }
      }
    }
  }
  if (requirement.token.optional !== false && security.size > 0) add({})
  return [...security.values()]
}

function responsesOf ({ registration: { settings }, requirement: { token, guards } }: DocumentedRoute): Record<string, object> {
  if (token.optional === true) return {}
  const challenge = { 'WWW-Authenticate': { description: settings.dpop ? 'Challenge (RFC 6750 §3, RFC 9449 §7.1)' : 'Challenge (RFC 6750 §3)', schema: { type: 'string' } } }
  return {
    401: { description: `Needs ${describeToken(token)}: there was none, or it was refused`, headers: challenge },
    403: { description: guards.length === 0 ? 'The token does not allow this' : `Needs ${describe({ kind: 'allOf', of: guards })}` }
  }
}

function annotateOperation (operation: Operation, method: string, route: DocumentedRoute, openapi: string, schemes: DocumentSchemes): Operation {
  const security = operation.security ?? securityOf(route, method, openapi, schemes)
  const own = operation.responses ?? {}
  const ours = Object.entries(responsesOf(route)).filter(([status]) => own[status] === undefined && own['4XX'] === undefined)
  return {
    ...operation,
    ...(security.length === 0 ? {} : { security }),
    responses: { ...own, ...Object.fromEntries(ours) }
  }
}

/**
 * Adds to a finished OpenAPI document what each route requires. The schemas that the app gave to its routes stay unchanged, since they
 * decide how replies are serialised, and an app's own transform reads them.
 *
 * @param routeOf Finds the route of an operation by its extension.
 * @returns A new document, or the same one if there is nothing to add or it is not OpenAPI 3.
 */
export function annotate (document: unknown, routeOf: (marker: object) => DocumentedRoute | undefined): unknown {
  if (!isDocument(document) || document.paths === undefined) return document
  const schemes = new DocumentSchemes(document.components?.securitySchemes ?? {})
  let found = false

  const paths = Object.entries(document.paths).map(([path, item]) => {
    const operations = Object.entries(item).map(([field, value]) => {
      const operation = value as Operation | undefined
      const marker = operation?.[extension] ?? markerOfHead(field, item)
      const route = marker === undefined ? undefined : routeOf(marker)
      if (operation === undefined || route === undefined) return [field, value] as const
      found = true
      return [field, annotateOperation(operation, field.toUpperCase(), route, document.openapi, schemes)] as const
    })
    return [path, Object.fromEntries(operations)] as const
  })
  if (!found) return document
  return {
    ...document,
    components: { ...document.components, securitySchemes: schemes.list() },
    paths: Object.fromEntries(paths)
  }
}

/** The marker of a HEAD route. If the route has an operation id, @fastify/swagger copies the schema of GET, without the marker. */
function markerOfHead (field: string, { head, get }: Readonly<Record<string, unknown>>): object | undefined {
  const getOperation = get as Operation | undefined
  const isCopy = field === 'head' && getOperation?.operationId !== undefined && (head as Operation).operationId === `${getOperation.operationId}-head`
  return isCopy ? getOperation[extension] : undefined
}
