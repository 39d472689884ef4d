import type { Settings } from '../options/settings.ts'
import type { TokenType } from '../types/claims.ts'
import type { TokenLocation } from '../types/hooks.ts'

/** An OpenAPI Security Scheme Object, with the members that are read here. */
export interface SecurityScheme {
  readonly type: string
  readonly in?: string
  readonly name?: string
  readonly scheme?: string
  readonly bearerFormat?: string
  readonly description?: string
}

/** A scheme, and its name for a document that has no such scheme. */
export interface NamedScheme {
  readonly name: string
  readonly scheme: SecurityScheme
  /** Whether a scheme of the document's own for the same place is used instead. */
  readonly replaceable: boolean
}

function named (type: TokenType, name: string, scheme: SecurityScheme): NamedScheme {
  return type === 'access'
    ? { name, scheme, replaceable: true }
    : { name: `refresh${name.charAt(0).toUpperCase()}${name.slice(1)}`, scheme: { description: 'The refresh token', ...scheme }, replaceable: false }
}

function headerScheme (type: TokenType, { headerName, headerType }: Settings): NamedScheme {
  if (headerName === 'authorization' && headerType !== '') {
    return named(type, 'bearerAuth', { type: 'http', scheme: headerType.toLowerCase(), bearerFormat: 'JWT' })
  }
  return named(type, 'headerAuth', {
    type: 'apiKey', in: 'header', name: headerName, ...(headerType === '' ? {} : { description: `${headerType}, a space, and the token` })
  })
}

function cookieSchemes (type: TokenType, method: string, settings: Settings): NamedScheme[] {
  const access = type === 'access'
  const cookie = named(type, 'cookieAuth', { type: 'apiKey', in: 'cookie', name: access ? settings.accessCookieName : settings.refreshCookieName })
  const doubleSubmit = settings.csrfProtection !== false && settings.csrfProtection.includes('double-submit') && settings.csrfMethods.has(method)
  if (!doubleSubmit) return [cookie]
  const header = access ? settings.accessCsrfHeaderName : settings.refreshCsrfHeaderName
  const description = 'The CSRF token that belongs to the token in the cookie'
  return [cookie, { ...named(type, 'csrfHeader', { type: 'apiKey', in: 'header', name: header, description }), replaceable: true }]
}

function queryScheme (type: TokenType, { queryStringName, queryStringValuePrefix }: Settings): NamedScheme {
  return named(type, 'queryAuth', {
    type: 'apiKey', in: 'query', name: queryStringName, ...(queryStringValuePrefix === '' ? {} : { description: `${queryStringValuePrefix} and the token` })
  })
}

/** A bound token, and the proof that comes with it (RFC 9449 §7.1). */
function boundSchemes (type: TokenType): NamedScheme[] {
  const description = type === 'access' ? 'A token that is bound to a key of the client (RFC 9449)' : 'The refresh token, bound to a key of the client (RFC 9449)'
  return [
    named(type, 'dpopAuth', { type: 'http', scheme: 'dpop', description }),
    { name: 'dpopProof', scheme: { type: 'apiKey', in: 'header', name: 'DPoP', description: 'A proof by that key, new for each request' }, replaceable: true }
  ]
}

/** A token in the Authorization header: as bearer token, bound to a key, or either. */
function headerSchemes (type: TokenType, settings: Settings): NamedScheme[][] {
  const bearer = [headerScheme(type, settings)]
  if (!settings.dpop) return [bearer]
  return settings.dpop.required ? [boundSchemes(type)] : [bearer, boundSchemes(type)]
}

/**
 * The ways to send a token in one location. Each way lists the schemes that are needed together, such as a cookie and a CSRF header. Empty
 * if OpenAPI cannot express the location, such as the body.
 *
 * @param method The method of the route, in upper case.
 */
export function schemesFor (location: TokenLocation, type: TokenType, method: string, settings: Settings): ReadonlyArray<readonly NamedScheme[]> {
  switch (location) {
    case 'headers': return headerSchemes(type, settings)
    case 'cookies': return [cookieSchemes(type, method, settings)]
    case 'queryString': return [[queryScheme(type, settings)]]
    case 'json': return []
  }
}

const lowerCase = (text: unknown): string => String(text).toLowerCase()

/** Whether a scheme of the document's own takes the token in the same place. */
function takesTheSame (own: SecurityScheme, { scheme, replaceable }: NamedScheme): boolean {
  if (!replaceable) return false
  if (scheme.type === 'apiKey') return own.type === 'apiKey' && own.in === scheme.in && lowerCase(own.name) === lowerCase(scheme.name)
  // OAuth 2.0 and OpenID Connect result in a bearer token (RFC 6750).
  if (scheme.scheme === 'bearer' && (own.type === 'oauth2' || own.type === 'openIdConnect')) return true
  return own.type === 'http' && lowerCase(own.scheme) === scheme.scheme
}

/** The security schemes of a document. Ours are added only for places that its own schemes do not cover. */
export class DocumentSchemes {
  readonly #own: ReadonlyMap<string, SecurityScheme>
  readonly #added = new Map<string, SecurityScheme>()

  constructor (own: Readonly<Record<string, SecurityScheme>>) {
    this.#own = new Map(Object.entries(own))
  }

  /** Finds the scheme of the document's own for the same place, or adds ours. */
  find (wanted: NamedScheme): { name: string, scheme: SecurityScheme } {
    for (const [name, scheme] of this.#own) {
      if (takesTheSame(scheme, wanted)) return { name, scheme }
    }
    // Two registrations may have different schemes with the same name.
    let { name } = wanted
    for (let next = 2; this.#isTaken(name, wanted.scheme); next++) name = `${wanted.name}${next}`
    this.#added.set(name, wanted.scheme)
    return { name, scheme: wanted.scheme }
  }

  #isTaken (name: string, scheme: SecurityScheme): boolean {
    const there = this.#own.get(name) ?? this.#added.get(name)
    return there !== undefined && JSON.stringify(there) !== JSON.stringify(scheme)
  }

  /** All schemes, for `components.securitySchemes`. */
  list (): Record<string, SecurityScheme> {
    return Object.fromEntries([...this.#added, ...this.#own])
  }
}
