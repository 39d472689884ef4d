import { setImmediate } from 'node:timers/promises'
import { readNumber } from '../sql-session.ts'
import { keyOf } from './key.ts'
import { grace } from './schema.ts'
import type { SqliteStatement } from './database.ts'
import type { Statements } from './statements.ts'
import type { Feed, FeedListener } from '../replication/feed.ts'
import type { Denial } from '../replication/replica.ts'
import type { SqlRow } from '../sql-session.ts'

/** Rows that are read in one step: one or two milliseconds. */
const pageSize = 1000

/** What the feed needs of its store. */
export interface SqliteFeedOptions {
  statements (): Statements
  /** Runs a write that waits neither for other writers nor for the disk. @throws The error of SQLite. */
  aside (write: (statements: Statements) => void): void
  /** The keys of sessions that this process has ended. The feed removes them when it has brought them. */
  readonly ownEnds: Set<string>
  /** Milliseconds for which a denial is kept after its token has expired. */
  readonly clockSkew: number
}

/**
 * The feed on SQLite: a table that triggers fill, and that each process reads on from its last place whenever a mark is requested. So
 * nothing is connected, and a mark is what a read has found.
 *
 * The position is the feed's creation time and a count. The count grows when the last row that was read is missing, for example because
 * an older copy of the file was restored.
 */
export function createSqliteFeed ({ statements, aside, ownEnds, clockSkew }: SqliteFeedOptions): Feed {
  /** When the feed was created. Creates it if there is none, and keeps the clean-up from deleting it. */
  function currentFeed (): number {
    const now = Date.now()
    const { feed } = statements()
    const known = feed.get() as SqlRow | undefined
    // If the clock was ahead when the feed was created, every token is older than the feed, and memory is of no use.
    if (known === undefined || readNumber(known, 'id') > now + clockSkew) {
      aside(({ beginFeed }) => { beginFeed.run(String(now), now, clockSkew) })
      // Another process may have been first.
      return readNumber(feed.get() as SqlRow, 'id')
    }
    if (readNumber(known, 'expires_at') < now - grace / 2) renew(now)
    return readNumber(known, 'id')
  }

  function renew (now: number): void {
    try {
      aside(({ renewFeed }) => { renewFeed.run(now) })
    } catch {
      // Another process is writing, or the disk is full. There are hours left.
    }
  }

  function readDenial (row: SqlRow): Denial {
    const [kind, id] = [row['kind'] as Denial['kind'], row['id'] as string]
    const life = readNumber(row, 'expires_at') - Date.now() + clockSkew
    if (kind !== 'stale') return { kind, id, life }
    const colon = id.indexOf(':')
    return { kind, staleBefore: readNumber({ generation: id.slice(0, colon) }, 'generation'), id: id.slice(colon + 1), life }
  }

  async function loadPages (statement: SqliteStatement, take: (page: readonly Denial[]) => void, isOpen: () => boolean): Promise<void> {
    let last: SqlRow | undefined = { expires_at: Date.now() - clockSkew, kind: '', id: '' }
    while (last !== undefined && isOpen()) {
      const rows = statement.all(last['expires_at'], last['kind'], last['id'], pageSize) as SqlRow[]
      take(rows.map(readDenial))
      last = rows[pageSize - 1]
      if (last !== undefined) await setImmediate()
    }
  }

  function publish (listener: FeedListener, denials: readonly Denial[], position: string): void {
    for (const own of [true, false]) {
      const some = denials.filter(({ kind, id }) => (kind === 'session' && ownEnds.has(id)) === own)
      if (some.length > 0) listener.denied(some, position, position, own)
    }
  }

  return {
    nameOf: keyOf,
    async connect (listener) {
      let open = true
      let position = ''
      let restarts = 0
      /** The last row that was read. */
      let last: SqlRow | undefined
      ownEnds.clear()

      /** Reads a page. @returns Whether there may be more. */
      function readOn (): boolean {
        const { readFeed, lastOfFeed } = statements()
        const [first, ...rows] = last === undefined ? [] : readFeed.all(last['place'], pageSize + 1) as SqlRow[]
        if (first === undefined || ['place', 'kind', 'id'].some(column => first[column] !== last?.[column])) {
          last = lastOfFeed.get() as SqlRow
          restarts++
          return false
        }
        publish(listener, rows.map(readDenial), position)
        last = rows.at(-1) ?? first
        return rows.length === pageSize
      }

      return {
        async mark (name) {
          const born = currentFeed()
          while (readOn()) {
            await setImmediate()
            if (!open) return
          }
          // Everything that this process has written until now was read, or it is not in the feed.
          ownEnds.clear()
          position = `${born} ${restarts}`
          listener.marked(name, position, born)
        },
        async load (take) {
          const { loadDenials, loadFeed } = statements()
          for (const statement of [loadDenials, loadFeed]) await loadPages(statement, take, () => open)
        },
        close () { open = false }
      }
    }
  }
}
