import type { Test } from 'tap'

/** The wall clock of this process (`Date.now`), moved by a test. Timers and `performance.now` go on as they do. */
export interface TestClock {
  /** Moves it, back if negative. */
  advance (seconds: number): void
  /** Sets it right again. */
  reset (): void
  /** What it would say otherwise: milliseconds since the epoch. */
  real (): number
}

function createClock (t: Test, read: (real: () => number) => number): TestClock {
  // Not t.intercept, which keeps a stack trace of every call, and no fake timers, which sockets would wait for.
  const real = Date.now
  let ahead = 0
  Date.now = () => read(real) + ahead
  t.teardown(() => { Date.now = real })
  return {
    advance (seconds) { ahead += seconds * 1000 },
    reset () { ahead = 0 },
    real
  }
}

/** Time that goes on as it does, and can be moved. */
export function movableTime (t: Test): TestClock {
  return createClock(t, real => real())
}

/** Time that passes only when told to. */
export function stoppedTime (t: Test): TestClock {
  const start = Date.now()
  return createClock(t, () => start)
}
