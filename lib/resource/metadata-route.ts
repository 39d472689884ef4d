import { publicRoute } from '../own-route.ts'
import type { FastifyInstance } from 'fastify'
import type { ResolvedMetadata } from '../options/resource.ts'
import type { Settings } from '../options/settings.ts'

/** Seconds for which a client may keep the document. */
const maxAge = 3600

/** The members that follow from the options, if the app leaves them out (RFC 9728 §2). */
function membersOf ({ dpop, issuers, tokenLocation, headerName, headerType }: Settings): Record<string, unknown> {
  const bearer = tokenLocation.includes('headers') && headerName === 'authorization' && headerType.toLowerCase() === 'bearer'
  // An issuer with a placeholder stands for many servers.
  const servers = (issuers ?? []).map(({ issuer }) => issuer).filter(issuer => !issuer.includes('{'))
  return {
    ...(servers.length === 0 ? {} : { authorization_servers: servers }),
    ...(bearer && !(dpop && dpop.required) ? { bearer_methods_supported: ['header'] } : {}),
    ...(dpop ? { dpop_signing_alg_values_supported: dpop.algorithms, dpop_bound_access_tokens_required: dpop.required } : {})
  }
}

/**
 * Whether a member is in the document. Empty arrays are not (RFC 9728 §3.2), except `bearer_methods_supported`: there it means that no
 * bearer token is accepted (§2).
 */
function isTold ([name, value]: [string, unknown]): boolean {
  return name === 'bearer_methods_supported' || !Array.isArray(value) || value.length > 0
}

/** The nearest context, from this one up, whose routes have no prefix. */
function withoutPrefix (instance: FastifyInstance): FastifyInstance {
  return instance.prefix === '' ? instance : withoutPrefix(Object.getPrototypeOf(instance) as FastifyInstance)
}

/** Serves the protected resource metadata (RFC 9728 §3), to everyone, at the path that clients derive from the resource's URL. */
export function addMetadataRoute (fastify: FastifyInstance, { members, path }: ResolvedMetadata, settings: Settings): void {
  const document = JSON.stringify(Object.fromEntries(Object.entries({ ...membersOf(settings), ...members }).filter(isTold)))
  withoutPrefix(fastify).route({
    ...publicRoute,
    url: path,
    handler (_request, reply) {
      reply.header('content-type', 'application/json; charset=utf-8').header('cache-control', `public, max-age=${maxAge}`).send(document)
    }
  })
}
