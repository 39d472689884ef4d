// The load generator of the HTTP benchmark, in a process of its own: keep-alive connections over plain sockets, requests
// made beforehand, answers counted by their length. It costs a fraction of what the server does, so that the server is
// what is measured.
import { connect } from 'node:net'
import type { Socket } from 'node:net'

const connections = 50
const pipelined = 10

interface Target { port: number, batches: Buffer[] }

const targets = new Map<string, Target>()

/** The requests, ten to a write, so that every one is sent as often as any other. */
function toBatches (requests: readonly string[]): Buffer[] {
  const count = Math.max(Math.ceil(requests.length / pipelined), 1)
  return Array.from({ length: count }, (_, i) => Buffer.from(
    Array.from({ length: pipelined }, (_, j) => requests[(i * pipelined + j) % requests.length]).join('')))
}

function openSocket (port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
    socket.once('error', reject)
  })
}

/** One connection, till the time is up: ten requests, ten answers, the next ten. @returns The answers counted. */
async function drive (target: Target, nextBatch: () => Buffer, deadline: number): Promise<number> {
  const socket = await openSocket(target.port)
  return await new Promise((resolve, reject) => {
    let answers = 0
    let length = 0
    let received = 0
    socket.on('error', reject)
    socket.on('data', chunk => {
      if (length === 0) {
        // The first answers tell how long each is: they differ in nothing but the date.
        const text = chunk.toString('latin1')
        const end = text.indexOf('\r\n\r\n') + 4
        length = end + Number(/content-length: (\d+)/i.exec(text)?.[1])
      }
      // A refusal has another length and would throw the count out of step: look at each chunk's beginning.
      if (received % length === 0 && chunk.toString('latin1', 0, 12) !== 'HTTP/1.1 200') reject(new Error(chunk.toString('latin1')))
      received += chunk.length
      if (received < pipelined * length) return
      if (received !== pipelined * length) reject(new Error(`got ${received} bytes for ${pipelined} answers of ${length}`))
      answers += pipelined
      received = 0
      if (performance.now() < deadline) socket.write(nextBatch())
      else { socket.destroy(); resolve(answers) }
    })
    socket.write(nextBatch())
  })
}

/** Requests per second of one server, over so many seconds. */
async function measure (name: string, seconds: number): Promise<number> {
  const target = targets.get(name) as Target
  let next = 0
  const nextBatch = (): Buffer => target.batches[next++ % target.batches.length] as Buffer
  const start = performance.now()
  const deadline = start + seconds * 1000
  const counts = await Promise.all(Array.from({ length: connections }, () => drive(target, nextBatch, deadline)))
  return counts.reduce((a, b) => a + b, 0) / ((performance.now() - start) / 1000)
}

type Message = { add: string, port: number, requests: string[] } | { measure: string, seconds: number }

process.on('message', (message: Message) => {
  if ('add' in message) {
    targets.set(message.add, { port: message.port, batches: toBatches(message.requests) })
    return
  }
  measure(message.measure, message.seconds).then(
    perSecond => process.send?.({ perSecond }),
    (error: unknown) => process.send?.({ error: String(error) }))
})
process.on('disconnect', () => process.exit())
