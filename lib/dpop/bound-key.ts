/**
 * The thumbprint of the key that a token is bound to, by its `cnf.jkt` claim (RFC 9449 §6.1).
 *
 * @returns `null` for a token that is not bound; `''`, which fits no key, if `jkt` is not a string.
 */
export function boundKeyOf ({ cnf }: { readonly [claim: string]: unknown }): string | null {
  if (typeof cnf !== 'object' || cnf === null || !Object.hasOwn(cnf, 'jkt')) return null
  const { jkt } = cnf as { jkt: unknown }
  return typeof jkt === 'string' ? jkt : ''
}
