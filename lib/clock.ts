import { setImmediate } from 'node:timers'

const { now } = Date

/** Whether the clock of this module is the system's, and no test's that was set before it was loaded. */
const isSystemClock = Function.prototype.toString.call(now).includes('[native code]')

/** In this turn of the event loop; 0 while nobody has asked. */
let timeOfTurn = 0

function forget (): void {
  timeOfTurn = 0
}

/**
 * About the time that it is: that at which it was first asked for in this turn of the event loop. Reading the clock costs
 * a hook as much as all else that it does with a token seen before, and a busy server answers many requests in one turn.
 * A clock that somebody else has put in place of `Date` is read each time.
 *
 * @returns Milliseconds since the epoch, late by what this turn has taken so far.
 */
export function turnTime (): number {
  if (Date.now !== now || !isSystemClock) return Date.now()
  if (timeOfTurn === 0) {
    timeOfTurn = now()
    setImmediate(forget)
  }
  return timeOfTurn
}
