import { createHash } from 'node:crypto'
import { openInTime } from '../replication/feed.ts'
import { readNumber } from '../sql-session.ts'
import { keyOf } from './text.ts'
import type { Listen } from './listen.ts'
import type { Statements } from './statements.ts'
import type { SqlRow } from '../sql-session.ts'
import type { Feed, FeedListener } from '../replication/feed.ts'
import type { Denial } from '../replication/replica.ts'

/** Rows in a page: a few milliseconds for PostgreSQL and for this process. */
const pageSize = 2000

/** What the feed needs of its store. */
export interface PostgresFeedOptions {
  readonly listen: Listen
  readonly sql: Statements
  readonly channel: string
  /** The id of this server among all that share the database. */
  readonly server: string
  /** Runs a statement with the time-out of a command. */
  query (text: string, values: readonly unknown[]): Promise<readonly SqlRow[]>
  /** Milliseconds that it may take to connect. */
  readonly timeout: number
  /** Milliseconds for which a denial is kept after its token has expired. */
  readonly clockSkew: number
}

/** The channel of denials. Its name has at most 63 bytes for any schema and prefix. */
export function channelOf (schema: string, prefix: string): string {
  return `jwt_${createHash('sha256').update(`${schema}.${prefix}`).digest('hex').slice(0, 24)}`
}

/** @param end Milliseconds since the epoch. The clock of the database does not matter, since it may jump. */
function readDenial (kind: string, id: string, end: number): Denial {
  const life = end - Date.now()
  if (kind !== 'stale') return { kind: kind as 'token' | 'session', id, life }
  const colon = id.indexOf(':')
  return { kind, staleBefore: Number(id.slice(0, colon)), id: id.slice(colon + 1), life }
}

/**
 * The feed on PostgreSQL, with LISTEN and NOTIFY. A statement that denies also notifies, in the same transaction. Notifications arrive in
 * the order of the commits, and an open connection loses none. So the position in the feed is only the id of the feed. A mark is a
 * notification that the listening connection sends to itself.
 */
export function createPostgresFeed ({ listen, sql, channel, server, query, timeout, clockSkew }: PostgresFeedOptions): Feed {
  const ownChannel = `${channel}_${server}`

  function reader (listener: FeedListener): (payload: string) => void {
    let feed = ''
    return payload => {
      const [kind, first, ...rest] = JSON.parse(payload) as [string, string, ...unknown[]]
      if (kind === 'mark') {
        feed = String(rest[0])
        listener.marked(first, feed, Number(feed))
      } else {
        const denials = (rest[0] as Array<[id: string, expiresAt: number]>).map(([id, expiresAt]) => readDenial(kind, id, expiresAt + clockSkew))
        listener.denied(denials, feed, feed, first === server)
      }
    }
  }

  async function load (take: (page: readonly Denial[]) => void): Promise<void> {
    let last: readonly [kind: string, id: string] = ['', '']
    for (let length = pageSize; length === pageSize;) {
      const rows = await query(sql.loadDenials, [...last, Date.now() - clockSkew, pageSize])
      take(rows.map(row => readDenial(row['kind'] as string, row['id'] as string, readNumber(row, 'expires_at') + clockSkew)))
      const end = rows.at(-1)
      if (end !== undefined) last = [end['kind'] as string, end['id'] as string]
      length = rows.length
    }
  }

  return {
    nameOf: keyOf,
    async connect (listener, signal) {
      const connection = await openInTime(
        async attempt => listen([channel, ownChannel], reader(listener), reason => { listener.lost(reason) }, timeout, attempt),
        opened => { opened.close() }, timeout, signal
      )
      return {
        async mark (name) {
          await connection.query(sql.mark, [ownChannel, name])
        },
        load,
        close: connection.close
      }
    }
  }
}
