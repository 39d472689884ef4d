// Heap: what a remembered token takes, and whether a million distinct ones leave it where it was. Run with --expose-gc.
import Fastify from 'fastify'
import jwt from 'fastify-jwt-extended'
import { progress } from './measure.ts'

export interface MemoryResults {
  bytesPerRememberedToken: number
  heapAfter200000: number
  heapAfter1000000: number
  ratios: Record<string, number>
}

function heap (): number {
  if (globalThis.gc === undefined) throw new Error('run with node --expose-gc')
  for (let i = 0; i < 4; i++) globalThis.gc()
  return process.memoryUsage().heapUsed
}

const secretKey = 'a-secret-of-more-than-thirty-two-bytes'

async function bytesPerToken (): Promise<number> {
  const app = Fastify()
  await app.register(jwt, { secretKey, cacheSize: 50_000 })
  const remember = (token: string): void => {
    // As a request brings it: a new string each time. The second time it is kept.
    for (let i = 0; i < 2; i++) app.jwt.decodeToken(Buffer.from(`Bearer ${token}`).toString('latin1').slice(7))
  }
  for (let i = 0; i < 2000; i++) remember(app.jwt.createAccessToken(`warm${i}`))
  const before = heap()
  for (let i = 0; i < 40_000; i++) remember(app.jwt.createAccessToken(`user${i}`))
  const after = heap()
  await app.close()
  return (after - before) / 40_000
}

export async function memory (): Promise<MemoryResults> {
  progress('memory: bytes per remembered token')
  const bytesPerRememberedToken = Math.round(await bytesPerToken())

  progress('memory: a million distinct tokens')
  const app = Fastify()
  await app.register(jwt, { secretKey })
  const heaps: number[] = []
  for (let i = 1; i <= 1_000_000; i++) {
    const token = app.jwt.createAccessToken(`user${i}`)
    app.jwt.decodeToken(token)
    // One in two comes again, and is remembered until others push it out.
    if (i % 2 === 0) app.jwt.decodeToken(token)
    if (i % 200_000 === 0) {
      heaps.push(heap())
      progress(`memory: ${i} tokens, heap ${Math.round((heaps.at(-1) as number) / 1024)} KiB`)
    }
  }
  await app.close()
  const [heapAfter200000 = 0] = heaps
  const heapAfter1000000 = heaps.at(-1) as number
  return {
    bytesPerRememberedToken,
    heapAfter200000,
    heapAfter1000000,
    ratios: { 'heap after 1,000,000 tokens / after 200,000': heapAfter1000000 / heapAfter200000 }
  }
}

if (process.argv[1]?.endsWith('memory.ts') === true) console.log(await memory())
