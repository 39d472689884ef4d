import { Lru } from 'toad-cache'
import { badOption } from '../errors.ts'
import { readIssuerTemplate } from '../keys/remote/issuer-template.ts'
import { refusePromise } from '../refuse-promise.ts'
import type { ResolvedIssuer, Settings } from '../options/settings.ts'
import type { ExternalKeys } from '../keys/external.ts'
import type { JwkSetLocation } from '../keys/remote/remote-jwk-set.ts'
import type { IssuerTemplate } from '../keys/remote/issuer-template.ts'

/** Creates the keys of one issuer. The claims of its tokens are checked against `settings`. */
export type CreateSource = (settings: Settings, from: JwkSetLocation, path: string) => ExternalKeys

/** Finds the keys for the `iss` of a token; `null` if there is no such issuer. */
export type FindSource = (issuer: unknown) => ExternalKeys | null

/** For how many tenants keys are kept. The app has approved each of them. */
const maxTenants = 1000

/** One entry of the `issuers` option. */
interface Entry extends ResolvedIssuer {
  /** The prefix of a member's name in an error. */
  readonly path: string
}

/** Returns a function that says whether the tokens of a tenant are accepted. @throws `FST_JWT_BAD_OPTION` */
function approvalOf ({ tenants, path }: Entry): (tenant: string) => boolean {
  if (tenants === null) throw badOption(`${path}tenants`, 'is missing, but the issuer has a placeholder; list the tenants, or give a function (tenant) => boolean, or every tenant of that issuer could log in')
  if (typeof tenants !== 'function') return tenant => tenants.includes(tenant)
  return tenant => {
    const approved: unknown = tenants(tenant)
    refusePromise(approved, `${path}tenants`, 'true or false')
    return approved === true
  }
}

/** Finds the keys of an issuer's tenants. URLs contain the tenant's name, so keys are fetched only for tenants that the app approves. */
function createTenantSources (entry: Entry, template: IssuerTemplate, settings: Settings, create: CreateSource): FindSource {
  const { issuer, jwksUri, path } = entry
  const isApproved = approvalOf(entry)
  const sources = new Lru<ExternalKeys>(maxTenants)
  // If all tenants share one set of keys, it is fetched once.
  const shared = jwksUri !== null && template.fill(jwksUri, '') === jwksUri

  function keysOf (tenant: string): ExternalKeys {
    return create(settings, jwksUri === null ? { issuer: template.fill(issuer, tenant) } : { jwksUri: template.fill(jwksUri, tenant) }, path)
  }
  // Created now, so that an invalid URL stops start-up.
  const common = keysOf('tenant')

  function createFor (tenant: string): ExternalKeys {
    const keys = shared ? common : keysOf(tenant)
    return {
      ...keys,
      settings: { ...settings, decodeIssuer: [template.fill(issuer, tenant)] },
      find (token, request) {
        // Also for a cached token: the app may have withdrawn its approval.
        if (!isApproved(tenant)) throw settings.errors.FST_JWT_INVALID_TOKEN('issuer')
        return keys.find(token, request)
      }
    }
  }

  return iss => {
    const tenant = template.tenantIn(iss)
    if (tenant === null || !isApproved(tenant)) return null
    let source = sources.get(tenant)
    if (source === undefined) sources.set(tenant, source = createFor(tenant))
    return source
  }
}

/**
 * The keys of each issuer of the `issuers` option, by the `iss` of the tokens they verify.
 *
 * @throws `FST_JWT_BAD_OPTION`
 */
export function createIssuerSources (settings: Settings, issuers: readonly ResolvedIssuer[], create: CreateSource): FindSource {
  if (issuers.length === 0) throw badOption('issuers', 'is empty, so that no token would be accepted; name an issuer, or leave it out')
  const sources = new Map<unknown, ExternalKeys>()
  const tenants: FindSource[] = []
  issuers.forEach((resolved, index) => {
    const entry = { ...resolved, path: `issuers[${index}].` }
    const { issuer, jwksUri, audience, path } = entry
    if (issuers.slice(0, index).some(other => other.issuer === issuer)) throw badOption(`${path}issuer`, 'is named twice; give each issuer once')
    if (settings.issuer === issuer || settings.decodeIssuer?.includes(issuer) === true) {
      throw badOption(`${path}issuer`, "is also 'issuer' or 'decodeIssuer', so it is unclear whose key verifies its tokens; name it in one place")
    }
    const claims = { ...settings, decodeIssuer: [issuer], decodeAudience: audience ?? settings.decodeAudience }
    const template = readIssuerTemplate(`${path}issuer`, issuer)
    if (template !== null) {
      if ([settings.issuer, ...settings.decodeIssuer ?? []].some(own => template.tenantIn(own) !== null)) {
        throw badOption(`${path}issuer`, "also matches 'issuer' or 'decodeIssuer', so it is unclear whose key verifies its tokens; change one of them")
      }
      tenants.push(createTenantSources(entry, template, claims, create))
      return
    }
    if (entry.tenants !== null) throw badOption(`${path}tenants`, "does nothing without a placeholder in 'issuer', such as 'https://login.example/{tenant}/v2.0'")
    sources.set(issuer, create(claims, jwksUri === null ? { issuer } : { jwksUri }, path))
  })

  return iss => {
    const source = sources.get(iss)
    if (source !== undefined) return source
    for (const find of tenants) {
      const found = find(iss)
      if (found !== null) return found
    }
    return null
  }
}
