import { badOption } from '../errors.ts'
import { secretCommand } from '../keys/algorithms.ts'

/**
 * Stops start-up if an option is given as `undefined`, such as an environment variable that is not set. For options that must not count as
 * absent: without its private key an app could sign nothing, and without an issuer it would accept any.
 *
 * @param path The prefix of the name in the error, such as `'keys[0].'`.
 * @throws `FST_JWT_BAD_OPTION`
 */
export function refuseUndefined<T extends object> (options: T, names: readonly (keyof T & string)[], path = ''): void {
  const unset = names.find(name => name in options && options[name] === undefined)
  if (unset === undefined) return
  const secret = unset === 'secretKey' ? `; \`${secretCommand()}\` makes a secret` : ''
  throw badOption(`${path}${unset}`, `is undefined: its environment variable is probably not set; set it, or leave the option out${secret}`)
}
