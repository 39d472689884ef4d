// What a request with a DPoP proof costs, beside jose verifying the same proof, and what the option costs a bearer token. By hand:
//
//   node --import ./scripts/typescript.js bench/dpop.ts
import { createHash, createPublicKey, verify } from 'node:crypto'
import Fastify from 'fastify'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose'
import jwt, { jwtRequired } from '../lib/index.ts'
import { clientKey, proof } from '../test/helpers/proof.ts'
import { median, progress } from './measure.ts'
import type { JwtExtendedOptions } from '../lib/index.ts'

const rounds = 21
const batch = 200
const secretKey = 'a secret of the benchmark, of more than 32 bytes'

/** A request that Fastify made, with its headers in our hands: what a hook is given. */
async function captureRequest (options: JwtExtendedOptions): Promise<{ request: FastifyRequest, token: (dpopKey?: string) => string }> {
  const app = Fastify()
  await app.register(jwt, { secretKey, ...options })
  let captured: FastifyRequest | undefined
  app.get('/', async (request: FastifyRequest) => { captured = request; return {} })
  await app.inject('/')
  if (captured === undefined) throw new Error('no request')
  return { request: captured, token: dpopKey => app.jwt.createAccessToken('ada', dpopKey === undefined ? {} : { dpopKey }) }
}

function callHook (request: FastifyRequest, headers: Record<string, string>): void {
  Object.assign(request.raw.headers, headers)
  jwtRequired(request, undefined as unknown as FastifyReply, error => {
    if (error !== undefined) throw error
  })
}

const key = clientKey()
const off = await captureRequest({})
const allowed = await captureRequest({ dpop: { replayWindow: '10m' } })
const token = allowed.token(key.thumbprint)
const url = 'http://localhost:80/'
progress('making proofs')
const proofs = Array.from({ length: (rounds + 1) * batch }, () => proof(key, { token, url }))
const ath = createHash('sha256').update(token).digest('base64url')
const publicKey = createPublicKey({ key: key.jwk, format: 'jwk' })
const bearerOff = { authorization: `Bearer ${off.token()}` }
const bearerAllowed = { authorization: `Bearer ${allowed.token()}` }
const bound = `DPoP ${token}`

/** Each proof is used once. The other candidates verify the same ones. */
const candidates: Record<string, (text: string) => unknown> = {
  'bearer token, without the option': () => callHook(off.request, bearerOff),
  'bearer token, dpop allowed': () => callHook(allowed.request, bearerAllowed),
  'bound token and proof, all checks': text => callHook(allowed.request, { authorization: bound, dpop: text }),
  'jose: signature, thumbprint and ath of the proof': async text => {
    const { payload, protectedHeader } = await jwtVerify(text, EmbeddedJWK, { typ: 'dpop+jwt', algorithms: ['ES256'], maxTokenAge: 600 })
    if (payload['ath'] !== ath || await calculateJwkThumbprint(protectedHeader.jwk as object) !== key.thumbprint) throw new Error('refused')
  },
  'node:crypto: the signature alone': text => {
    const end = text.lastIndexOf('.')
    if (!verify('sha256', Buffer.from(text.slice(0, end)), { key: publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.from(text.slice(end + 1), 'base64url'))) throw new Error('refused')
  }
}

const times = new Map(Object.keys(candidates).map(name => [name, [] as number[]]))
for (let round = 0; round <= rounds; round++) {
  const own = proofs.slice(round * batch, (round + 1) * batch)
  // In turn, each round beginning with another, so that a machine that slows down slows them all.
  const entries = Object.entries(candidates)
  for (let i = 0; i < entries.length; i++) {
    const [name, run] = entries[(i + round) % entries.length] as [string, (text: string) => unknown]
    const start = process.hrtime.bigint()
    for (const text of own) {
      const pending = run(text)
      if (pending !== undefined) await pending
    }
    // The first round is for warming up.
    if (round > 0) times.get(name)?.push(Number(process.hrtime.bigint() - start) / batch)
  }
}

console.log(`microseconds per request, medians of ${rounds} rounds of ${batch}, ES256, Node.js ${process.version}`)
console.table(Object.fromEntries([...times].map(([name, values]) => [name, Math.round(median(values) / 10) / 100])))
