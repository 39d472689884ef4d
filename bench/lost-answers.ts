/*
 * Honest clients on a bad network: 10,000 rotations of refresh tokens, with delays of up to 3 s and cuts between the servers and
 * Redis, and clocks a minute off in both directions. No client may be told that its token has been reused. By hand:
 *
 *   node --import ./scripts/typescript.js bench/lost-answers.ts [rotations] [clients] [seed]
 */
import { noRedis } from '../test/helpers/redis-server.ts'
import { runHonestClients } from '../test/helpers/honest-clients.ts'

if (noRedis !== false) throw new Error(noRedis)
const [rotations = 10_000, clients = 300, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
const ends: Array<() => unknown> = []
console.log(`${rotations} rotations, ${clients} clients, seed ${seed}`)
const figures = await runHonestClients({ teardown (run) { ends.push(run) } }, { rotations, clients, seed, longestDelay: 3000, reuseInterval: 10 })
for (const end of ends.reverse()) await end()
console.log(JSON.stringify(figures, null, 2))
console.log(figures.reused.length === 0 ? 'passed' : 'failed')
process.exitCode = figures.reused.length === 0 ? 0 : 1
