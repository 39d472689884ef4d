import type { OptionsWithKeys } from '../../lib/index.ts'

/** Options whose own key takes the place of the secret that a helper adds: `secretKey: undefined` leaves the option out. */
export function ownKey (options: object): OptionsWithKeys {
  return Object.fromEntries(Object.entries(options).filter(([name, value]) => name !== 'secretKey' || value !== undefined)) as unknown as OptionsWithKeys
}
