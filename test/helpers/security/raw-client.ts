import { connect } from 'node:net'
import type { Socket } from 'node:net'
import type { Answer } from './recording-app.ts'

/** An HTTP/1.1 client that sends the bytes it is given, whatever they are, over a connection kept open while the server does. */
export class RawClient {
  readonly #port: number
  #socket: Socket | undefined
  #settle: (answer: Answer | null) => void = () => {}

  constructor (port: number) {
    this.#port = port
  }

  /** The answer, or `null` when the server closed the connection without one. One request at a time. */
  async send (request: string | Buffer): Promise<Answer | null> {
    const kept = this.#socket
    const answer = await this.#exchange(kept ?? await this.#open(), request)
    // Node.js closes a connection after what it could not read, without a header that says so.
    return answer === null && kept !== undefined ? this.#exchange(await this.#open(), request) : answer
  }

  async #exchange (socket: Socket, request: string | Buffer): Promise<Answer | null> {
    return new Promise(resolve => {
      let received = Buffer.alloc(0)
      const settle = (answer: Answer | null) => {
        socket.off('data', read)
        if (answer === null || answer.headers['connection'] === 'close') this.#forget(socket)
        if (this.#settle === settle) this.#settle = () => {}
        resolve(answer)
      }
      const read = (chunk: Buffer) => {
        received = Buffer.concat([received, chunk])
        const answer = parse(received)
        if (answer !== null) settle(answer)
      }
      this.#settle = settle
      socket.on('data', read)
      socket.write(typeof request === 'string' ? Buffer.from(request, 'latin1') : request)
    })
  }

  close (): void {
    this.#socket?.destroy()
  }

  async #open (): Promise<Socket> {
    const socket = connect(this.#port, '127.0.0.1')
    await new Promise<void>((resolve, reject) => { socket.once('connect', resolve).once('error', reject) })
    this.#socket = socket
    // An answer that never comes is a fault to be seen, not waited for.
    socket.setTimeout(5000, () => { socket.destroy() })
    // A server that refuses a request may reset the connection while the rest of it is on its way.
    socket.on('error', () => {})
    socket.on('close', () => {
      // What an older connection had to say has been said.
      if (this.#socket !== socket) return
      this.#socket = undefined
      this.#settle(null)
    })
    return socket
  }

  #forget (socket: Socket): void {
    socket.end()
    if (this.#socket === socket) this.#socket = undefined
  }
}

/** A whole answer, or `null` while it is not there yet. */
function parse (received: Buffer): Answer | null {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return null
  const [status = '', ...lines] = received.toString('latin1', 0, end).split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) headers[line.slice(0, line.indexOf(':')).toLowerCase()] = line.slice(line.indexOf(':') + 1).trim()
  const length = Number(headers['content-length'] ?? 0)
  if (received.length < end + 4 + length) return null
  return { statusCode: Number(status.split(' ')[1]), headers, body: received.toString('utf8', end + 4, end + 4 + length) }
}
