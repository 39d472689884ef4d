import type { onRequestHookHandler } from 'fastify'

/** Keeps an answer out of every cache, so that the back button shows nothing after signing out (RFC 9111 §5.2.2.5). */
export const noStore: onRequestHookHandler = (_request, reply, done) => {
  reply.header('cache-control', 'no-store')
  done()
}
