import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** Which connections a fault is for: those that listen to a feed, or all. */
type Which = 'feeds' | 'all'

/** A network that falls silent: nothing is forwarded, and nobody is told. */
export interface SilentProxy {
  readonly host: string
  readonly port: number
  /** From now on, what is sent on these connections is lost, also on new ones. */
  silence (which: Which): void
  /** New connections pass again. What has been silent stays so: bytes are missing. */
  speak (): void
  /** Ends the connections. */
  cut (which: Which): void
  /** Connections that listen to a feed now. */
  feeds (): number
  /** Connections now, and all that were ever opened. */
  connections (): number
  opened (): number
}

/** What a client sends to listen, to Redis or to PostgreSQL. */
const listens = /subscribe|LISTEN "/i

export async function startSilentProxy (
  t: { teardown (run: () => void): void }, target: { readonly host: string, readonly port: number }
): Promise<SilentProxy> {
  const links = new Set<{ client: Socket, server: Socket, feed: boolean, silent: boolean }>()
  let silence: Which | null = null
  let opened = 0

  const proxy = createServer(client => {
    const server = connect(target.port, target.host)
    const link = { client, server, feed: false, silent: silence === 'all' }
    links.add(link)
    opened++
    const pass = (from: Socket, to: Socket): void => {
      from.setNoDelay()
      from.on('data', chunk => {
        if (from === client && listens.test(chunk.toString('latin1'))) {
          link.feed = true
          if (silence === 'feeds') link.silent = true
        }
        if (!link.silent) to.write(chunk)
      })
      from.on('error', () => {})
      from.on('close', () => {
        links.delete(link)
        to.destroy()
      })
    }
    pass(client, server)
    pass(server, client)
  })
  await new Promise<void>(resolve => { proxy.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    for (const { client } of links) client.destroy()
    proxy.close()
  })
  return {
    host: '127.0.0.1',
    port: (proxy.address() as AddressInfo).port,
    silence (which) {
      silence = which
      for (const link of links) link.silent ||= which === 'all' || link.feed
    },
    speak () { silence = null },
    cut (which) {
      for (const { client, feed } of links) {
        if (which === 'all' || feed) client.destroy()
      }
    },
    feeds: () => [...links].filter(({ feed }) => feed).length,
    connections: () => links.size,
    opened: () => opened
  }
}
