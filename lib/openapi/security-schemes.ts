import type { Settings } from '../options/settings.ts'
import type { TokenType } from '../types/claims.ts'
import type { TokenLocation } from '../types/hooks.ts'

/** An OpenAPI Security Scheme Object, as far as it is read here. */
export interface SecurityScheme {
  readonly type: string
  readonly in?: string
  readonly name?: string
  readonly scheme?: string
  readonly bearerFormat?: string
  readonly description?: string
}

/** A scheme, and what to call it in a document that has none like it. */
export interface NamedScheme {
  readonly name: string
  readonly scheme: SecurityScheme
  /** Whether a scheme the document declares itself for the same place says the same. */
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

/**
 * What must come together to present a token in one place; empty where OpenAPI has no word for it, as for a token in the
 * body.
 */
export function schemesFor (location: TokenLocation, type: TokenType, method: string, settings: Settings): readonly NamedScheme[] {
  switch (location) {
    case 'headers': return [headerScheme(type, settings)]
    case 'cookies': return cookieSchemes(type, method, settings)
    case 'queryString': return [queryScheme(type, settings)]
    case 'json': return []
  }
}

const lowerCase = (text: unknown): string => String(text).toLowerCase()

/** Whether a scheme of the document's own takes the token in the same place. */
function takesTheSame (own: SecurityScheme, { scheme, replaceable }: NamedScheme): boolean {
  if (!replaceable) return false
  if (scheme.type === 'apiKey') return own.type === 'apiKey' && own.in === scheme.in && lowerCase(own.name) === lowerCase(scheme.name)
  // OAuth 2.0 and OpenID Connect end in a bearer token (RFC 6750), and their "Authorize" button gets one.
  if (scheme.scheme === 'bearer' && (own.type === 'oauth2' || own.type === 'openIdConnect')) return true
  return own.type === 'http' && lowerCase(own.scheme) === scheme.scheme
}

/** The security schemes of one document: its own come first, and ours are added where it has none for the place. */
export class DocumentSchemes {
  readonly #own: ReadonlyMap<string, SecurityScheme>
  readonly #added = new Map<string, SecurityScheme>()

  constructor (own: Readonly<Record<string, SecurityScheme>>) {
    this.#own = new Map(Object.entries(own))
  }

  /** The name of a scheme in this document, and the scheme it stands for. */
  find (wanted: NamedScheme): { name: string, scheme: SecurityScheme } {
    for (const [name, scheme] of this.#own) {
      if (takesTheSame(scheme, wanted)) return { name, scheme }
    }
    // Two registrations may differ in what they call by one name.
    let { name } = wanted
    for (let next = 2; this.#isTaken(name, wanted.scheme); next++) name = `${wanted.name}${next}`
    this.#added.set(name, wanted.scheme)
    return { name, scheme: wanted.scheme }
  }

  #isTaken (name: string, scheme: SecurityScheme): boolean {
    const there = this.#own.get(name) ?? this.#added.get(name)
    return there !== undefined && JSON.stringify(there) !== JSON.stringify(scheme)
  }

  /** All of them, as the document lists them. */
  list (): Record<string, SecurityScheme> {
    return Object.fromEntries([...this.#added, ...this.#own])
  }
}
