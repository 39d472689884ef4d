import { badOption } from '../../errors.ts'

/** The issuers of several tenants, such as `https://login.example/{tenant}/v2.0`. */
export interface IssuerTemplate {
  /** The tenant in the `iss` of a token; `null` if it is not of this form. */
  tenantIn (issuer: unknown): string | null
  /** Puts a tenant into the URL of the issuer, or of its JWK Set. */
  fill (text: string, tenant: string): string
}

const placeholder = /\{\w+\}/

/** The names that a tenant may have: none can lead to another host, path or query of a URL. */
const tenantPattern = '([\\w-]{1,128})'

function escape (text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/**
 * Reads a template.
 *
 * @param option The option that holds it.
 * @returns `null` if the text has no placeholder.
 * @throws `FST_JWT_BAD_OPTION` if it has two.
 */
export function readIssuerTemplate (option: string, text: string): IssuerTemplate | null {
  const parts = text.split(placeholder)
  if (parts.length === 1) return null
  if (parts.length > 2) throw badOption(option, 'has more than one placeholder; it takes one, such as {tenant}')
  const pattern = new RegExp(`^${parts.map(escape).join(tenantPattern)}$`)
  return {
    tenantIn: issuer => typeof issuer === 'string' ? pattern.exec(issuer)?.[1] ?? null : null,
    fill: (text, tenant) => text.replace(placeholder, () => tenant)
  }
}

/** Whether a tenant in an option has such a name. */
export function isTenant (name: string): boolean {
  return new RegExp(`^${tenantPattern}$`).test(name)
}
