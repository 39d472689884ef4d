import type { SqlRow } from '../sql-session.ts'
import type { Statements } from './statements.ts'

/** Milliseconds for which an expired row is kept, so that nothing is lost if clocks differ or jump. */
const grace = 86_400_000

/** The same for an id that was used once. It is shorter, because every DPoP proof adds such a row. */
const usedGrace = 60_000

/** How often expired rows are deleted, in milliseconds, how many at once, and the pause between two steps. */
const sweepInterval = 60_000
const sweepLimit = 1000
const sweepPause = 50

/** Deletes expired rows in small steps, one server at a time. */
export class Sweeper {
  readonly #sql: Statements
  readonly #prefix: string
  readonly #query: (text: string, values: readonly unknown[]) => Promise<readonly SqlRow[]>
  #timer: NodeJS.Timeout | undefined

  /** @param prefix The prefix of the tables. It is part of the name of the advisory lock. */
  constructor (sql: Statements, prefix: string, query: (text: string, values: readonly unknown[]) => Promise<readonly SqlRow[]>) {
    this.#sql = sql
    this.#prefix = prefix
    this.#query = query
  }

  start (): void {
    this.#stepAfter(sweepInterval)
  }

  stop (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #stepAfter (milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      const again = (more: boolean): void => {
        if (this.#timer !== undefined) this.#stepAfter(more ? sweepPause : sweepInterval)
      }
      this.#step().then(again, () => { again(false) })
    }, milliseconds).unref()
  }

  /** Deletes some rows that expired a day ago, and some used ids that expired a minute ago. @returns Whether there may be more. */
  async #step (): Promise<boolean> {
    const now = Date.now()
    let more = false
    for (const statement of ['forgetUsedIds', 'forgetDenials', 'forgetSessions', 'forgetOwners'] as const) {
      // The search for owners without sessions is the slowest, and must not delay the other deletions.
      if (more && statement === 'forgetOwners') break
      const rows = await this.#query(this.#sql[statement], [now - (statement === 'forgetUsedIds' ? usedGrace : grace), `${this.#prefix}${statement}`, sweepLimit])
      more ||= rows.length === sweepLimit
    }
    return more
  }
}
