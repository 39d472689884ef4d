import { isPromise } from './after.ts'
import { badOption } from './errors.ts'

/**
 * Refuses a promise from a callback that has to answer at once. Nobody will wait for it, so its rejection must not end the process.
 *
 * @param wanted What the callback has to return.
 * @throws `FST_JWT_BAD_OPTION`
 */
export function refusePromise (answer: unknown, option: string, wanted: string): void {
  if (!isPromise(answer)) return
  Promise.resolve(answer).catch(() => {})
  throw badOption(option, `must return ${wanted}, and not a promise`)
}
