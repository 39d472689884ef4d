// What one call costs: our hook and our token functions beside the libraries an app would else use.
import { createHmac, createSecretKey, randomUUID, timingSafeEqual } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import { createSigner, createVerifier } from 'fast-jwt'
import Fastify from 'fastify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'
import { jwtVerify } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import { interleave, median, progress, ratio } from './measure.ts'
import type { Candidate } from './measure.ts'

const secret = 'a-secret-of-more-than-thirty-two-bytes'
const rounds = 41

/** Gives the values of an array in turn, for ever. */
function turn<T> (values: readonly T[]): () => T {
  let next = 0
  return () => values[next++ % values.length] as T
}

function sink (result: unknown): void {
  if (result === undefined) throw new Error('a candidate did nothing')
}

/** A request that Fastify made, with its headers in our hands: what a hook is given. */
async function captureRequest (app: ReturnType<typeof Fastify>): Promise<FastifyRequest> {
  let captured: FastifyRequest | undefined
  app.get('/', async (request: FastifyRequest) => { captured = request; return {} })
  await app.inject('/')
  if (captured === undefined) throw new Error('no request')
  return captured
}

/** A header line with a token, in one piece as a parser of HTTP gives it, and not as a concatenation that has to be resolved. */
function headerOf (token: string): string {
  return Buffer.from(`Bearer ${token}`, 'latin1').toString('latin1')
}

/** Calls a hook as Fastify does; throws when it refuses, or should have. */
function callHook (request: FastifyRequest, header: string, refused: boolean): void {
  request.raw.headers.authorization = header
  jwtRequired(request, undefined as unknown as FastifyReply, error => {
    if ((error !== undefined) !== refused) throw new Error('unexpected verdict', { cause: error })
  })
}

export interface MicroResults {
  nanoseconds: Record<string, number>
  ratios: Record<string, number>
}

export async function micro (): Promise<MicroResults> {
  const app = Fastify()
  await app.register(jwt, { secretKey: secret, cacheSize: 1000, store: false })
  const withStore = Fastify()
  await withStore.register(jwt, { secretKey: secret, cacheSize: 1000 })
  const theirs = Fastify()
  await theirs.register(fastifyJwt, { secret })
  const request = await captureRequest(app)
  const requestWithStore = await captureRequest(withStore)
  const requestOfTheirs = await captureRequest(theirs)

  const make = (count: number): string[] => Array.from({ length: count }, (_, i) => app.jwt.createAccessToken(`user${i}`))
  const batchOfUnseen = 1000
  progress('micro: making tokens')
  // One for each call that is timed, so that none comes twice.
  const unseen = make((rounds + 1) * batchOfUnseen)
  const seen = make(500)
  const badSignature = unseen.slice(0, 5000).map(token => token.slice(0, -6) + 'AAAAAA')
  const expired = Array.from({ length: 500 }, (_, i) => app.jwt.createAccessToken(`user${i}`, { expiresIn: -60 }))
  const malformed = unseen.slice(0, 500).map(token => token.slice(0, token.length >> 1))

  const verify = createVerifier({ key: secret, algorithms: ['HS256'] })
  const verifyWithCache = createVerifier({ key: secret, algorithms: ['HS256'], cache: 1000 })
  const sign = createSigner({ key: secret, algorithm: 'HS256', expiresIn: 900_000 })
  const key = createSecretKey(Buffer.from(secret))

  function floor (token: string): unknown {
    const dot = token.lastIndexOf('.')
    const expected = createHmac('sha256', key).update(token.slice(0, dot)).digest()
    if (!timingSafeEqual(expected, Buffer.from(token.slice(dot + 1), 'base64url'))) throw new Error('bad signature')
    return JSON.parse(Buffer.from(token.slice(token.indexOf('.') + 1, dot), 'base64url').toString())
  }

  function refuse (token: string): void {
    try {
      verify(token)
    } catch {
      return
    }
    throw new Error('accepted')
  }

  const each = (values: readonly string[], call: (token: string) => void): ((batch: number) => void) => {
    const next = turn(values)
    return batch => { for (let i = 0; i < batch; i++) call(next()) }
  }

  const groups: Record<string, { batch: number, candidates: Candidate[] }> = {
    'a token seen before': {
      batch: 2000,
      candidates: [
        { name: 'hook, seen token', run: each(seen.map(headerOf), header => { callHook(request, header, false) }) },
        { name: 'hook with memory store, seen token', run: each(seen.map(headerOf), header => { callHook(requestWithStore, header, false) }) },
        { name: 'fast-jwt with its cache, seen token', run: each(seen, token => { sink(verifyWithCache(token)) }) }
      ]
    },
    'a token not seen before': {
      batch: batchOfUnseen,
      candidates: [
        { name: 'hook, unseen token', run: each(unseen.map(headerOf), header => { callHook(request, header, false) }) },
        { name: 'fast-jwt verify', run: each(unseen, token => { sink(verify(token)) }) },
        { name: 'jsonwebtoken verify', run: each(unseen, token => { sink(jsonwebtoken.verify(token, key)) }) },
        { name: 'floor: HMAC, compare, parse', run: each(unseen, token => { sink(floor(token)) }) }
      ]
    },
    'a refused token': {
      batch: 500,
      candidates: [
        { name: 'hook, bad signature', run: each(badSignature.map(headerOf), header => { callHook(request, header, true) }) },
        { name: 'fast-jwt, bad signature', run: each(badSignature, refuse) },
        { name: 'hook, expired', run: each(expired.map(headerOf), header => { callHook(request, header, true) }) },
        { name: 'fast-jwt, expired', run: each(expired, refuse) },
        { name: 'hook, malformed', run: each(malformed.map(headerOf), header => { callHook(request, header, true) }) },
        { name: 'fast-jwt, malformed', run: each(malformed, refuse) }
      ]
    },
    'a new token': {
      batch: 500,
      candidates: [
        { name: 'createAccessToken', run: batch => { for (let i = 0; i < batch; i++) sink(app.jwt.createAccessToken('user123')) } },
        {
          name: 'fast-jwt sign and a UUID',
          run: batch => {
            for (let i = 0; i < batch; i++) {
              const now = Math.floor(Date.now() / 1000)
              sink(sign({ sub: 'user123', type: 'access', fresh: false, jti: randomUUID(), iat: now, nbf: now }))
            }
          }
        }
      ]
    }
  }

  const results: MicroResults = { nanoseconds: {}, ratios: {} }
  const all = new Map<string, number[]>()
  for (const [title, { batch, candidates }] of Object.entries(groups)) {
    progress(`micro: ${title}`)
    for (const [name, times] of interleave(candidates, rounds, batch)) all.set(name, times)
  }
  await asynchronous(all, unseen, requestOfTheirs)
  for (const [name, times] of all) results.nanoseconds[name] = Math.round(median(times))
  for (const [label, a, b] of [
    ['hook with memory store / hook, seen token', 'hook with memory store, seen token', 'hook, seen token'],
    ['hook / fast-jwt verify, unseen token', 'hook, unseen token', 'fast-jwt verify'],
    ['refusing a bad signature / fast-jwt', 'hook, bad signature', 'fast-jwt, bad signature'],
    ['refusing an expired token / fast-jwt', 'hook, expired', 'fast-jwt, expired'],
    ['refusing a malformed token / fast-jwt', 'hook, malformed', 'fast-jwt, malformed'],
    ['createAccessToken / fast-jwt sign and a UUID', 'createAccessToken', 'fast-jwt sign and a UUID']
  ] as const) results.ratios[label] = ratio(all, a, b)

  await Promise.all([app.close(), withStore.close(), theirs.close()])
  return results
}

/** The ones that answer with a promise, timed in the same turns among themselves. */
async function asynchronous (all: Map<string, number[]>, tokens: readonly string[], request: FastifyRequest): Promise<void> {
  progress('micro: libraries that answer with a promise')
  const key = Buffer.from(secret)
  const candidates: Array<{ name: string, call: (token: string) => Promise<unknown> }> = [
    { name: '@fastify/jwt jwtVerify', call: token => { request.raw.headers.authorization = headerOf(token); return request.jwtVerify() } },
    { name: 'jose jwtVerify', call: token => jwtVerify(token, key) }
  ]
  for (const { name } of candidates) all.set(name, [])
  for (let round = -1; round < rounds; round++) {
    for (const { name, call } of candidates) {
      const next = turn(tokens)
      const start = process.hrtime.bigint()
      for (let i = 0; i < 300; i++) sink(await call(next()))
      if (round >= 0) all.get(name)?.push(Number(process.hrtime.bigint() - start) / 300)
    }
  }
}

if (process.argv[1]?.endsWith('micro.ts') === true) console.log(await micro())
