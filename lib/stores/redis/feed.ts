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
  /** This server, among all that share a Redis. */
  readonly server: string
  /** Runs a script with the time-out of a command. */
  run (script: RedisScript, keys: [string, ...string[]], args: string[]): Promise<unknown>
  /** Milliseconds that a connection may take. */
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
 * The feed of a Redis: publish/subscribe. The scripts that deny publish in the same step. A server asks for a mark by the connection that
 * carries its commands, and hears it on the other one: so a proof means that both are connected to the same Redis, or to one that
 * follows it.
 */
export function createRedisFeed ({ subscribe, send, keys, server, run, timeout }: RedisFeedOptions): Feed {
  /** Hears on this channel only what it has asked for. Messages of both channels come in the order in which they were sent. */
  const ownChannel = `${keys.feed}:${server}`

  /** Reads the messages of one connection. */
  function reader (listener: FeedListener, clock: { now: number }): (message: string) => void {
    // An app with the same prefix in another database uses the same channel.
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

  /** ZSCAN answers every entry that was there from its beginning to its end, whatever is added meanwhile. */
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
