// The load generator of the HTTP benchmark, in a process of its own: keep-alive connections over plain sockets, one request on each
// at a time, requests made beforehand, answers counted by their length. It costs less than what the server does, so that the server
// is what is measured.
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'

interface Target { readonly port: number, readonly requests: readonly Buffer[], connections: Connection[], next: number }

const targets = new Map<string, Target>()

/** One connection: a request, its answer, the next request. */
class Connection {
  readonly #socket: Socket
  #length = 0
  #received = 0
  #answered = (_error?: Error): void => {}

  private constructor (socket: Socket) {
    this.#socket = socket
    socket.on('error', error => { this.#answered(error) })
    socket.on('data', chunk => { this.#read(chunk) })
    socket.on('close', () => { this.#answered(new Error('the server has closed a connection')) })
  }

  static async open (port: number): Promise<Connection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new Connection(socket)
  }

  /** Whether the server, or its time-out, has closed it while it was at rest. */
  get closed (): boolean {
    return this.#socket.destroyed
  }

  /** Sends requests until the time is up. @returns The answers counted. */
  async drive (nextRequest: () => Buffer, deadline: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let answers = 0
      this.#answered = error => {
        if (error !== undefined) {
          reject(error)
          return
        }
        answers++
        if (performance.now() < deadline) {
          this.#socket.write(nextRequest())
          return
        }
        this.#answered = () => {}
        resolve(answers)
      }
      this.#socket.write(nextRequest())
    })
  }

  #read (chunk: Buffer): void {
    if (this.#length === 0) {
      // The first answer tells how long each is: they differ in nothing but the date.
      const text = chunk.toString('latin1')
      this.#length = text.indexOf('\r\n\r\n') + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1])
    }
    // A refusal is as fast as it is wrong.
    if (this.#received === 0 && chunk.toString('latin1', 0, 12) !== 'HTTP/1.1 200') this.#answered(new Error(chunk.toString('latin1')))
    this.#received += chunk.length
    if (this.#received < this.#length) return
    const error = this.#received === this.#length ? undefined : new Error(`got ${this.#received} bytes for an answer of ${this.#length}`)
    this.#received = 0
    this.#answered(error)
  }
}

/** The answers of one server on so many connections, over so many seconds. */
async function measure ({ measure: name, connections, seconds }: Measure): Promise<{ answers: number, seconds: number }> {
  const target = targets.get(name) as Target
  const open = target.connections.filter(({ closed }) => !closed)
  const more = Array.from({ length: Math.max(0, connections - open.length) }, async () => Connection.open(target.port))
  target.connections = [...open, ...await Promise.all(more)]
  // Goes on where the turn before ended, so that all of the tokens come.
  const nextRequest = (): Buffer => target.requests[target.next++ % target.requests.length] as Buffer
  const start = performance.now()
  // It never sleeps: else each answer that finds it asleep costs the server the time to wake it, and a slow server the more.
  let awake = setImmediate(function again () { awake = setImmediate(again) })
  const counts = await Promise.all(target.connections.slice(0, connections).map(async connection => connection.drive(nextRequest, start + seconds * 1000)))
  clearImmediate(awake)
  return { answers: counts.reduce((a, b) => a + b, 0), seconds: (performance.now() - start) / 1000 }
}

interface Measure { measure: string, connections: number, seconds: number }

type Message = { add: string, port: number, requests: string[] } | Measure

async function answer (message: Message): Promise<object> {
  if ('measure' in message) return measure(message)
  targets.set(message.add, { port: message.port, requests: message.requests.map(request => Buffer.from(request)), connections: [], next: 0 })
  return { added: message.add }
}

process.on('message', (message: Message) => {
  answer(message).then(result => process.send?.(result), (error: unknown) => process.send?.({ error: String(error) }))
})
process.on('disconnect', () => process.exit())
