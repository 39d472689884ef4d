// The load generator of the HTTP benchmark, in a process of its own: keep-alive connections over plain sockets, requests
// made beforehand, answers counted by their length. It costs a fraction of what the server does, so that the server is
// what is measured.
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

const connectionsPerServer = 50
const pipelined = 10

interface Target { connections: Connection[], batches: Buffer[], next: number }

const targets = new Map<string, Target>()

/** The requests, ten to a write, so that every one is sent as often as any other. */
function toBatches (requests: readonly string[]): Buffer[] {
  const count = Math.max(Math.ceil(requests.length / pipelined), 1)
  return Array.from({ length: count }, (_, i) => Buffer.from(
    Array.from({ length: pipelined }, (_, j) => requests[(i * pipelined + j) % requests.length]).join('')))
}

/** One connection, open as long as the benchmark runs: ten requests, ten answers, the next ten. */
class Connection {
  readonly #socket: Socket
  #length = 0
  #received = 0
  #done = (_error?: Error): void => {}

  private constructor (socket: Socket) {
    this.#socket = socket
    socket.on('error', error => { this.#done(error) })
    socket.on('data', chunk => { this.#read(chunk) })
    socket.on('close', () => { this.#done(new Error('the server has closed a connection')) })
  }

  static async open (port: number): Promise<Connection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new Connection(socket)
  }

  /** Sends requests until the time is up. @returns The answers counted. */
  async drive (nextBatch: () => Buffer, deadline: number): Promise<number> {
    for (let answers = pipelined; ; answers += pipelined) {
      await new Promise<void>((resolve, reject) => {
        if (this.#socket.destroyed) throw new Error('the server has closed a connection while it was at rest')
        this.#done = error => { if (error === undefined) resolve(); else reject(error) }
        this.#socket.write(nextBatch())
      })
      if (performance.now() >= deadline) return answers
    }
  }

  #read (chunk: Buffer): void {
    if (this.#length === 0) {
      // The first answers tell how long each is: they differ in nothing but the date.
      const text = chunk.toString('latin1')
      const end = text.indexOf('\r\n\r\n') + 4
      this.#length = end + Number(/content-length: (\d+)/i.exec(text)?.[1])
    }
    // A refusal has another length and would throw the count out of step: look at each chunk's beginning.
    if (this.#received % this.#length === 0 && chunk.toString('latin1', 0, 12) !== 'HTTP/1.1 200') this.#done(new Error(chunk.toString('latin1')))
    this.#received += chunk.length
    const expected = pipelined * this.#length
    if (this.#received < expected) return
    this.#done(this.#received === expected ? undefined : new Error(`got ${this.#received} bytes for ${pipelined} answers of ${this.#length}`))
    this.#received = 0
  }
}

/** Requests per second of one server, over so many seconds. */
async function measure (name: string, seconds: number): Promise<number> {
  const target = targets.get(name) as Target
  // Goes on where the turn before ended, so that all of the tokens come.
  const nextBatch = (): Buffer => target.batches[target.next++ % target.batches.length] as Buffer
  const start = performance.now()
  const deadline = start + seconds * 1000
  const counts = await Promise.all(target.connections.map(async connection => connection.drive(nextBatch, deadline)))
  return counts.reduce((a, b) => a + b, 0) / ((performance.now() - start) / 1000)
}

type Message = { add: string, port: number, requests: string[] } | { measure: string, seconds: number }

async function answer (message: Message): Promise<object> {
  if ('measure' in message) return { perSecond: await measure(message.measure, message.seconds) }
  const connections = await Promise.all(Array.from({ length: connectionsPerServer }, async () => Connection.open(message.port)))
  targets.set(message.add, { connections, batches: toBatches(message.requests), next: 0 })
  return { added: message.add }
}

process.on('message', (message: Message) => {
  answer(message).then(result => process.send?.(result), (error: unknown) => process.send?.({ error: String(error) }))
})
process.on('disconnect', () => process.exit())
