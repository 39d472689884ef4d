// A complete authentication system: see README.md beside this file.
//
//   npm run build && JWT_SECRET_KEY="$(node -p "crypto.randomBytes(64).toString('base64')")" node --import ./scripts/typescript.js examples/auth-system/server.ts
import { buildApp } from './app.ts'
import { readConfig } from './config.ts'

const config = readConfig(process.env)
const app = await buildApp(config)

// Requests that have come in are answered before the process ends, if that takes no more than ten seconds. Then all connections are
// closed: Node would wait for those that a client has opened and never used.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    setTimeout(() => { app.server.closeAllConnections() }, 10_000).unref()
    app.close().catch(error => { console.error(error) })
  })
}

const url = await app.listen({ host: config.host, port: config.port })
console.log(`auth-system listens on ${config.tls === null ? url : url.replace('http:', 'https:')}`)
