// One API for many customers, each of whom lets its own people in and signs their tokens with a key of its own. The key is
// looked up for each request, so that a customer may come, change its key or go while the API runs.
//
//   npm run build && node --import ./scripts/typescript.js examples/tenants.ts
import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import Fastify from 'fastify'
import jwt, { jwtRequired } from 'fastify-jwt-extended'

/* What customers have: a login service with a private key, which never leaves it */

async function newCustomer () {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const service = Fastify()
  await service.register(jwt, { algorithm: 'EdDSA', privateKey })
  return { publicKey, tokenFor: (username: string) => service.jwt.createAccessToken(username) }
}

const customers = new Map([['acme', await newCustomer()], ['globex', await newCustomer()]])

/* What we have: the public key of each, as it would be in a database */

const publicKeys = new Map<string, KeyObject>()
for (const [name, { publicKey }] of customers) publicKeys.set(name, publicKey)

async function findPublicKey (tenant: string): Promise<KeyObject | undefined> {
  return publicKeys.get(tenant)
}

interface TenantParams { tenant: string }

const app = Fastify()
await app.register(jwt, {
  decodeAlgorithms: ['EdDSA'],
  // The route says which key, and not the token: a token is good for a tenant if that tenant's key has signed it. If no key is found,
  // the answer is a 401.
  decodeKey: async (_header, _claims, request) => findPublicKey((request.params as TenantParams).tenant)
})

app.get<{ Params: TenantParams }>('/:tenant/notes', { preHandler: jwtRequired }, async request => ({
  // Each of two tenants may have an ada, so a user is both names together.
  notes: [`a note of ${request.jwtIdentity} at ${request.params.tenant}`]
}))

// Stands for the customer's own login, which would be elsewhere.
app.post<{ Params: TenantParams, Body: { username: string } }>('/:tenant/login', async (request, reply) => {
  reply.header('Cache-Control', 'no-store')
  const customer = customers.get(request.params.tenant)
  if (customer === undefined) return reply.callNotFound()
  return { access_token: customer.tokenFor(request.body.username) }
})

// The contract has ended: from now on no token of that tenant passes.
app.delete<{ Params: TenantParams }>('/:tenant', async (request, reply) => {
  publicKeys.delete(request.params.tenant)
  return reply.code(204).send()
})

const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}

  curl -H 'Content-Type: application/json' -d '{"username":"ada"}' ${url}/acme/login
  curl -H 'Authorization: Bearer <the access_token>' ${url}/acme/notes
  curl -H 'Authorization: Bearer <the access_token>' ${url}/globex/notes`)
