import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What the proxy does to the traffic. */
export interface NetworkFaults {
  /** Milliseconds by which what arrives now is delayed. The order on a connection stays. */
  delay (): number
  /** What is lost now, with the connection: a request on its way to the server, an answer on its way back, or nothing. */
  lose (direction: 'request' | 'answer'): boolean
}

export interface RedisProxy {
  readonly url: string
  /** Connections that were cut so far. */
  cuts (): { readonly requests: number, readonly answers: number }
  /** Lets the faults begin: until then everything passes, so that servers can start. */
  begin (): void
}

/** A network between a client and its server that delays, cuts and drops: neither of them knows what the other has heard. */
export async function startRedisProxy (
  t: { teardown (run: () => void): void }, target: { readonly host: string, readonly port: number }, faults: NetworkFaults
): Promise<RedisProxy> {
  const cuts = { requests: 0, answers: 0 }
  const sockets = new Set<Socket>()
  let calm = true

  function pass (from: Socket, to: Socket, direction: 'request' | 'answer'): void {
    // One after the other: two timers need not end in the order in which they began.
    let last = Promise.resolve()
    from.on('data', chunk => {
      if (!calm && faults.lose(direction)) {
        cuts[`${direction}s`]++
        from.destroy()
        to.destroy()
        return
      }
      const due = performance.now() + (calm ? 0 : faults.delay())
      last = last.then(async () => {
        const left = due - performance.now()
        if (left > 0) await sleep(left)
        if (!to.destroyed) to.write(chunk)
      })
    })
    from.on('error', () => {})
    from.on('close', () => {
      sockets.delete(from)
      to.destroy()
    })
  }

  const server = createServer(socket => {
    const upstream = connect(target.port, target.host)
    for (const one of [socket, upstream]) {
      sockets.add(one)
      one.setNoDelay()
    }
    pass(socket, upstream, 'request')
    pass(upstream, socket, 'answer')
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts: () => cuts,
    begin () { calm = false }
  }
}
