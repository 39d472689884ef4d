// A complete authentication system: see README.md beside this file.
//
//   npm run build && JWT_SECRET_KEY="$(node -p "crypto.randomBytes(64).toString('base64')")" node --import ./scripts/typescript.js examples/auth-system/server.ts
import { buildApp } from './app.ts'
import { readConfig } from './config.ts'

const config = readConfig(process.env)
const app = await buildApp(config)

// Requests that have come in are answered before the process ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { app.close().catch(error => { console.error(error) }) })

const url = await app.listen({ host: config.host, port: config.port })
console.log(`auth-system listens on ${config.tls === null ? url : url.replace('http:', 'https:')}`)
