import { badOption } from '../errors.ts'

/**
 * Stops start-up at an option that is there and `undefined`, as a variable of the environment is that is not set. It is for options that
 * must not be taken for absent: without a secret another key would count, and without an audience any would.
 *
 * @param path What stands before the name in the error, such as `'keys[0].'`.
 * @throws `FST_JWT_BAD_OPTION`
 */
export function refuseUndefined<T extends object> (options: T, names: readonly (keyof T & string)[], path = ''): void {
  const unset = names.find(name => name in options && options[name] === undefined)
  if (unset === undefined) return
  const secret = unset === 'secretKey' ? '; `openssl rand -base64 48` makes a secret' : ''
  throw badOption(`${path}${unset}`, `is undefined, as a variable of the environment is that is not set; set it, or leave the option out${secret}`)
}
