import { createHash } from 'node:crypto'

/** Of its JSON, which has an escape for each lone surrogate: as UTF-8, all of them are the same. */
function sha256 (text: string): string {
  return createHash('sha256').update(JSON.stringify(text)).digest('base64url')
}

/** Ids like our own are used as they are. Any other is hashed, so that its braces, colons and length don't matter. */
function tag (id: string): string {
  return /^[\w-]{1,64}$/.test(id) ? id : `~${sha256(id)}`
}

/** The keys of a store. A Redis Cluster chooses the slot by the part in braces. */
export interface RedisKeys {
  /** An id as part of a key. */
  tag (id: string): string
  session (sid: string): string
  deniedSession (sid: string): string
  /** In the slot of its session, if it has one. */
  deniedToken (jti: string, sid: string | null): string
  /** The sessions of an identity by creation. Hashed, since an identity may be an e-mail address. */
  sessionsOf (identity: string): string
  /** The sessions of an identity by expiry, in the same slot. */
  expiryOf (identity: string): string
  usedOnce (id: string): string
  probe (index: number): string
  /** The state of the feed of denials; exists while a server replicates. */
  readonly feed: string
  /** The live denials by expiry, since the feed was created. */
  readonly live: string
}

export function redisKeys (prefix: string): RedisKeys {
  return {
    tag,
    session: sid => `${prefix}login:{${tag(sid)}}`,
    deniedSession: sid => `${prefix}denied-session:{${tag(sid)}}`,
    deniedToken: (jti, sid) => sid === null
      ? `${prefix}denied-token:{${tag(jti)}}`
      : `${prefix}denied-token:{${tag(sid)}}:${tag(jti)}`,
    sessionsOf: identity => `${prefix}sessions-of:{${sha256(identity)}}`,
    expiryOf: identity => `${prefix}expiry-of:{${sha256(identity)}}`,
    usedOnce: id => `${prefix}used:{${tag(id)}}`,
    probe: index => `${prefix}probe:{${index}}`,
    feed: `${prefix}feed`,
    live: `${prefix}feed:live`
  }
}
