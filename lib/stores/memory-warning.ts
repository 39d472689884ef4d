import cluster from 'node:cluster'
import type { FastifyBaseLogger } from 'fastify'

const remedy = "Keep them in a file, register(jwt, { store: new SqliteStore(database) }) from 'fastify-jwt-extended/sqlite', or on " +
  'PostgreSQL or Redis. An app that neither revokes tokens nor has sessions sets store: false'

/** Warns of what is lost if revocations and sessions are in memory: a warning in production, an error in one process of several. */
export function warnOfMemory (log: FastifyBaseLogger): void {
  // PM2 numbers the processes of an app by this variable, whether or not they are workers of a cluster.
  if (cluster.isWorker || process.env['NODE_APP_INSTANCE'] !== undefined) {
    log.error('fastify-jwt-extended keeps revocations and sessions in memory, and this is one process of several: a token that one ' +
      `revokes passes in the others, and a session that one has begun is refused there. ${remedy}`)
  } else if (process.env['NODE_ENV'] === 'production') {
    log.warn('fastify-jwt-extended keeps revocations and sessions in memory: a restart signs everybody out, and a token that was ' +
      `revoked passes again. ${remedy}`)
  }
}
