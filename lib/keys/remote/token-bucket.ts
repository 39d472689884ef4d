/** A limit on how often something happens: a number of times at once, then once per interval. */
export interface TokenBucket {
  /** Takes one, if there is one. */
  take (): boolean
}

/**
 * A token bucket; costs one number and one time, and no timer.
 *
 * @param size How many may be taken at once.
 * @param interval Milliseconds in which one comes back.
 */
export function createTokenBucket (size: number, interval: number): TokenBucket {
  let left = size
  let countedAt = Date.now()

  return {
    take () {
      const now = Date.now()
      // A clock set back must not stop the refill until it has caught up.
      left = Math.min(size, left + Math.abs(now - countedAt) / interval)
      countedAt = now
      if (left < 1) return false
      left -= 1
      return true
    }
  }
}
