import type { FastifyReply } from 'fastify'

/** Header fields that control caches (RFC 9111 §5, RFC 9213). */
const fields = ['cache-control', 'cdn-cache-control', 'surrogate-control', 'expires'] as const

function textOf (value: number | string | string[] | undefined): string {
  return Array.isArray(value) ? value.join(',') : String(value ?? '')
}

/**
 * Whether shared caches must not send a response to other users without revalidation: it has `no-store`, `private` or
 * `no-cache`, without a list of fields (RFC 9111 §5.2.2).
 */
export function isPrivate (reply: FastifyReply): boolean {
  const directives = textOf(reply.getHeader('cache-control')).replace(/"[^"]*"/g, '""').split(',')
  return directives.some(directive => /^\s*(?:no-store|private|no-cache)\s*$/i.test(directive))
}

/** Whether the app lets a shared cache store a response. */
export function mayBeShared (reply: FastifyReply): boolean {
  return fields.some(field => reply.hasHeader(field)) && !isPrivate(reply)
}

/** Keeps a response with a cookie or a nonce out of shared caches, unless the app already does (RFC 9111 §7.3). */
export function keepPrivate (reply: FastifyReply): void {
  if (!isPrivate(reply)) reply.header('cache-control', 'no-store')
  for (const field of ['cdn-cache-control', 'surrogate-control']) reply.removeHeader(field)
}
