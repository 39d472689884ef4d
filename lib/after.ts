import type { MaybePromise } from './types/claims.ts'

/** Whether a value has to be waited for. */
export function isPromise<T> (value: T | Promise<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** Calls `next` at once with a value, or when its promise resolves. A synchronous path creates no promise. */
export function after<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return isPromise(value) ? Promise.resolve(value).then(next) : next(value)
}
