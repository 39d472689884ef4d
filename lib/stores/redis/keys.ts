import { createHash } from 'node:crypto'

function sha256 (text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/** The part of a key for an id. An id that may contain braces or colons, or is long, is hashed. */
function tag (id: string): string {
  return /^[\w-]{1,64}$/.test(id) ? id : `~${sha256(id)}`
}

/** The names of the keys. The part in braces is the hash tag, which decides the slot in a Redis Cluster. */
export interface RedisKeys {
  session (sid: string): string
  deniedSession (sid: string): string
  /** In the slot of its session, if it has one. */
  deniedToken (jti: string, sid: string | null): string
  /** Hashed, since an identity may be an e-mail address. */
  sessionsOf (identity: string): string
  probe (index: number): string
}

/** @param prefix What every key begins with. */
export function redisKeys (prefix: string): RedisKeys {
  return {
    session: sid => `${prefix}session:{${tag(sid)}}`,
    deniedSession: sid => `${prefix}denied-session:{${tag(sid)}}`,
    deniedToken: (jti, sid) => sid === null
      ? `${prefix}denied-token:{${tag(jti)}}`
      : `${prefix}denied-token:{${tag(sid)}}:${tag(jti)}`,
    sessionsOf: identity => `${prefix}sessions-of:{${sha256(identity)}}`,
    probe: index => `${prefix}probe:{${index}}`
  }
}
