// See README.md beside this file.
//
//   npm run build && node --import ./scripts/typescript.js examples/dpop/server.ts
import { randomBytes } from 'node:crypto'
import { buildApp } from './app.ts'

// One secret for all processes that share logins, at least 32 bytes, from outside the code.
const secretKey = process.env.JWT_SECRET_KEY ?? randomBytes(32)
if (typeof secretKey !== 'string') console.warn('JWT_SECRET_KEY is not set: using a random secret, so all logins end with this process')

const app = await buildApp(secretKey)
const url = await app.listen({ port: Number(process.env.PORT ?? 3000), host: process.env.HOST ?? '127.0.0.1' })
console.log(`Listening on ${url}\nOpen ${url} in a browser, or run examples/dpop/client.ts ${url}`)
