import { sessionFields } from './scripts.ts'
import type { SessionRecord } from '../../types/store.ts'

type Field = typeof sessionFields[number]

/** Writes a value; `null` is an empty string. */
export function written (value: number | string | null): string {
  return value === null ? '' : String(value)
}

function time (value: string): number | null {
  return value === '' ? null : Number(value)
}

/** A session as fields and values in turn. */
export function writeSession (session: SessionRecord): string[] {
  const { current } = session
  const values: Record<Field, string> = {
    identity: session.identity,
    createdAt: String(session.createdAt),
    lastUsedAt: String(session.lastUsedAt),
    expiresAt: written(session.expiresAt),
    accessExpiresAt: written(session.accessExpiresAt),
    tokenId: current.tokenId,
    issuedAt: String(current.issuedAt),
    tokenExpiresAt: written(current.expiresAt),
    salt: current.salt,
    previousTokenId: written(session.previousTokenId),
    rotatedAt: written(session.rotatedAt),
    claims: JSON.stringify(session.claims),
    metadata: JSON.stringify(session.metadata)
  }
  return Object.entries(values).flat()
}

/** Reads a session from the values of `sessionFields`; `null` if the key does not exist. */
export function readSession (id: string, values: readonly unknown[]): SessionRecord | null {
  if (values[0] === null || values[0] === undefined) return null
  const read = Object.fromEntries(sessionFields.map((field, index) => [field, String(values[index])])) as Record<Field, string>
  return {
    id,
    identity: read.identity,
    createdAt: Number(read.createdAt),
    lastUsedAt: Number(read.lastUsedAt),
    expiresAt: time(read.expiresAt),
    accessExpiresAt: time(read.accessExpiresAt),
    current: {
      tokenId: read.tokenId,
      issuedAt: Number(read.issuedAt),
      expiresAt: time(read.tokenExpiresAt),
      salt: read.salt
    },
    previousTokenId: read.previousTokenId === '' ? null : read.previousTokenId,
    rotatedAt: time(read.rotatedAt),
    claims: JSON.parse(read.claims),
    metadata: JSON.parse(read.metadata)
  }
}
