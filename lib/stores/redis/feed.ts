import { randomUUID } from 'node:crypto'
import { openInTime } from '../replication/feed.ts'
import { markScript } from './scripts.ts'
import type { RedisConnection } from './client.ts'
import type { RedisKeys } from './keys.ts'
import type { RedisScript } from './scripts.ts'
import type { Subscribe } from './subscribe.ts'
import type { Feed, FeedConnection, FeedListener } from '../replication/feed.ts'
import type { Denial } from '../replication/replica.ts'

/** Entries in a page: a few milliseconds for Redis and for this process. */
const pageSize = 1000

/** What the feed needs of its store. */
export interface RedisFeedOptions {
  readonly subscribe: Subscribe
  readonly send: RedisConnection['send']
  readonly keys: RedisKeys
  /** The id of this server among all that share the Redis. */
  readonly server: string
  /** Runs a script with the time-out of a command. */
  run (script: RedisScript, keys: [string, ...string[]], args: string[]): Promise<unknown>
  /** Milliseconds that it may take to connect. */
  readonly timeout: number
}

/** The name of a token or session in the feed. */
export function feedName (kind: 'token' | 'session', tag: string): string {
  return `${kind}:${tag}`
}

function readDenial (name: string, life: number): Denial {
  const colon = name.indexOf(':')
  const kind = name.slice(0, colon)
  const rest = name.slice(colon + 1)
  if (kind !== 'stale') return { kind: kind as 'token' | 'session', id: rest, life }
  const second = rest.indexOf(':')
  return { kind, staleBefore: Number(rest.slice(0, second)), id: rest.slice(second + 1), life }
}

/**
 * The feed on Redis, with publish/subscribe. A script that denies also publishes, in the same atomic step. A server requests a mark on its
 * command connection, and receives it on the other one. So a mark proves that both are connected to the same Redis, or to one that
 * replicates it.
 */
export function createRedisFeed ({ subscribe, send, keys, server, run, timeout }: RedisFeedOptions): Feed {
  /** Receives only what this server has requested. Messages of both channels arrive in the order in which they were sent. */
  const ownChannel = `${keys.feed}:${server}`

  /** Reads the messages of one connection. */
  function reader (listener: FeedListener, clock: { now: number }): (message: string) => void {
    // The feed's id tells its messages from those of an app with the same prefix in another database, which uses the same channel.
    let feed = ''
    return message => {
      const [kind, ...parts] = message.split(' ') as [string, string, string, string, string, string, string]
      if (kind === 'mark') {
        const [name, id, place, born, now] = parts
        feed = id
        clock.now = Number(now)
        listener.marked(name, `${id} ${place}`, Number(born))
      } else if (parts[0] === feed) {
        const [, before, place, origin, life, name] = parts
        listener.denied([readDenial(name, Number(life))], `${feed} ${before}`, `${feed} ${place}`, origin === server)
      }
    }
  }

  /** ZSCAN returns every entry that exists during the whole scan, whatever is added meanwhile. */
  async function load (take: (page: Denial[]) => void, now: number): Promise<void> {
    let cursor = '0'
    do {
      const [next, page] = await send(keys.live, 'ZSCAN', [keys.live, cursor, 'COUNT', String(pageSize)]) as [string, string[]]
      cursor = String(next)
      const denials: Denial[] = []
      for (let i = 0; i < page.length; i += 2) denials.push(readDenial(String(page[i]), Number(page[i + 1]) - now))
      take(denials)
    } while (cursor !== '0')
  }

  return {
    nameOf: keys.tag,
    async connect (listener, signal) {
      const clock = { now: 0 }
      const close = await openInTime(
        async attempt => subscribe([keys.feed, ownChannel], reader(listener, clock), reason => { listener.lost(reason) }, attempt),
        end => { end() }, timeout, signal
      )
      const connection: FeedConnection = {
        async mark (name) {
          await run(markScript, [keys.feed, keys.live], [ownChannel, name, randomUUID(), keys.feed, String(Date.now())])
        },
        load: async take => load(take, clock.now),
        close
      }
      return connection
    }
  }
}
