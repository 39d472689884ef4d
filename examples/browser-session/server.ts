// A site whose sessions live in cookies that no script can read.
//
//   npm start
import { createApp } from './app.ts'
import { readConfig } from './config.ts'
import { openStorage } from './storage.ts'

const config = readConfig(process.env)
const storage = await openStorage(config)
const app = await createApp(config, storage)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    // A browser opens connections ahead of its requests, and Node would wait for those that it never used.
    setTimeout(() => { app.server.closeAllConnections() }, 3000).unref()
    await app.close()
    await storage.close()
  })
}

const url = await app.listen({ port: config.port, host: config.host })

// curl says nothing of where a request comes from, as a browser does by itself, and so is no target of CSRF.
console.log(`Open ${url} in a browser, or try it by hand:

  curl -c jar -H 'Content-Type: application/json' -d '{"name":"ada","password":"correct horse battery staple"}' ${url}/session/sign-up
  curl -b jar ${url}/account
  curl -b jar ${url}/devices
  curl -b jar -c jar -X POST ${url}/session/refresh
  curl -b jar -c jar -X POST ${url}/session/sign-out
  curl -b jar ${url}/account

Sessions are kept in ${storage.place}: a restart signs nobody out. Access tokens live for ${config.accessExpires} seconds.`)
