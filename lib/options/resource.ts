import { badOption } from '../errors.ts'
import { readRemoteUrl } from '../keys/remote/url.ts'
import { checkOptionNames } from './unknown.ts'
import { refuseUndefined } from './unset.ts'
import * as validate from './validators.ts'
import type { IntrospectionOptions } from '../types/options.ts'
import type { Validator } from './validators.ts'

/** The `resourceMetadata` option, checked, and where the document is (RFC 9728 §3.1). */
export interface ResolvedMetadata {
  readonly members: Readonly<Record<string, unknown>>
  /** The path of the document. */
  readonly path: string
  /** Its URL, for challenges. */
  readonly url: string
}

const texts = validate.list(validate.text)

/** Members whose types are checked. Others, such as those of a language (RFC 9728 §2.1), are taken as they are. */
const metadataMembers: Readonly<Record<string, Validator<unknown>>> = {
  authorization_servers: texts,
  jwks_uri: validate.text,
  scopes_supported: texts,
  bearer_methods_supported: texts,
  resource_name: validate.text,
  resource_documentation: validate.text,
  resource_policy_uri: validate.text,
  resource_tos_uri: validate.text
}

/** RFC 9728 §2. */
export const resourceMetadata: Validator<ResolvedMetadata> = (value, name) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw validate.wrongKind(name, value, 'an object with the URL of this API as resource')
  // `undefined` is left out, as with other options.
  const members: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined))
  const url = readRemoteUrl(`${name}.resource`, members['resource'])
  if (url.href.includes('#')) throw badOption(`${name}.resource`, 'has a fragment, which a resource identifier never has (RFC 9728 §1.2)')
  // Fastify would read it as a pattern.
  if (/[:*%]/.test(url.pathname)) throw badOption(`${name}.resource`, 'has a path with :, * or %, at which no document can be served; take another path')
  for (const [member, check] of Object.entries(metadataMembers)) {
    if (Object.hasOwn(members, member)) check(members[member], `${name}.${member}`)
  }
  // The well-known part stands between the host and the path of the resource.
  url.pathname = `/.well-known/oauth-protected-resource${url.pathname === '/' ? '' : url.pathname}`
  return Object.freeze({ members: Object.freeze(members), path: url.pathname, url: url.href })
}

/** The `introspection` option, checked and complete. `maxAge` is in seconds. */
export interface ResolvedIntrospection {
  readonly url: URL
  /** The value of the Authorization header (RFC 6749 §2.3.1). */
  readonly authorization: string
  readonly issuer: readonly string[] | null
  readonly audience: readonly string[] | null
  readonly maxAge: number
  readonly fetch: NonNullable<IntrospectionOptions['fetch']>
}

const severalTexts = validate.oneOrSeveral(validate.text)

/** Form-encodes a value for HTTP Basic (RFC 6749 §2.3.1). */
function formEncoded (text: string): string {
  return new URLSearchParams({ text }).toString().slice('text='.length)
}

export const introspection: Validator<ResolvedIntrospection> = (value, name) => {
  if (typeof value !== 'object' || value === null) throw validate.wrongKind(name, value, 'an object of url, clientId and clientSecret')
  checkOptionNames(value, ['url', 'clientId', 'clientSecret', 'issuer', 'audience', 'maxAge', 'fetch'], `${name}.`)
  const given: { [Name in keyof IntrospectionOptions]?: unknown } = value
  refuseUndefined(given, ['issuer', 'audience'], `${name}.`)
  const { url, clientId, clientSecret, issuer, audience, maxAge, fetch: fetchAnswer } = given
  const credentials = [validate.text(clientId, `${name}.clientId`), validate.text(clientSecret, `${name}.clientSecret`)].map(formEncoded).join(':')
  return Object.freeze({
    url: readRemoteUrl(`${name}.url`, url),
    authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
    issuer: issuer === undefined ? null : severalTexts(issuer, `${name}.issuer`),
    audience: audience === undefined ? null : severalTexts(audience, `${name}.audience`),
    maxAge: maxAge === undefined ? 0 : validate.seconds(maxAge, `${name}.maxAge`),
    fetch: fetchAnswer === undefined ? fetch : validate.callback<NonNullable<IntrospectionOptions['fetch']>>()(fetchAnswer, `${name}.fetch`)
  })
}
