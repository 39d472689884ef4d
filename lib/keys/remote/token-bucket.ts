/** Limits how often something happens: `size` times at once, then once per interval. */
export interface TokenBucket {
  /** Takes a token. @returns `false` if none is left. */
  take (): boolean
}

/**
 * A token bucket without a timer.
 *
 * @param size How many tokens may be taken at once.
 * @param interval Milliseconds until one token comes back.
 */
export function createTokenBucket (size: number, interval: number): TokenBucket {
  let left = size
  let countedAt = Date.now()

  return {
    take () {
      const now = Date.now()
      // `abs`: if the clock is set back, the refill must not wait until it has caught up.
      left = Math.min(size, left + Math.abs(now - countedAt) / interval)
      countedAt = now
      if (left < 1) return false
      left -= 1
      return true
    }
  }
}
