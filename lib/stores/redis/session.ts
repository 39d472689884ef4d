import { sessionFields } from './scripts.ts'
import { readIdentity, writeIdentity } from '../identity-text.ts'
import type { SessionChange, SessionDocument, SessionRecord, SessionState } from '../../types/store.ts'

type Field = typeof sessionFields[number]

/** A value as the store writes it: an empty string for `null`. */
function written (value: number | string | null): string {
  return value === null ? '' : String(value)
}

function time (value: string): number | null {
  return value === '' ? null : Number(value)
}

const writers: { readonly [Name in keyof SessionRecord as Exclude<Name, 'id'>]: (value: SessionRecord[Name]) => string } = {
  identity: writeIdentity,
  version: written,
  generation: written,
  used: used => used ? '1' : '0',
  staleBefore: written,
  tokenId: written,
  previousTokenId: written,
  rotatedAt: written,
  expiresAt: written,
  document: document => JSON.stringify(document)
}

/** The given members of a session, as alternating fields and values. */
export function writeFields (values: Partial<Omit<SessionRecord, 'id'>> | Omit<SessionChange, 'rotated'>): string[] {
  return sessionFields.flatMap(field => {
    const value = (values as Partial<Record<Field, unknown>>)[field]
    return value === undefined ? [] : [field, (writers[field] as (value: unknown) => string)(value)]
  })
}

/** Reads a session from the values of `sessionFields`; `null` if the key does not exist. */
export function readSession (id: string, values: readonly unknown[]): SessionRecord | null {
  if (values[0] === null || values[0] === undefined) return null
  const read = Object.fromEntries(sessionFields.map((field, index) => [field, String(values[index])])) as Record<Field, string>
  return {
    id,
    identity: readIdentity(read.identity),
    version: Number(read.version),
    generation: Number(read.generation),
    used: read.used === '1',
    staleBefore: Number(read.staleBefore),
    tokenId: read.tokenId,
    previousTokenId: read.previousTokenId === '' ? null : read.previousTokenId,
    rotatedAt: time(read.rotatedAt),
    expiresAt: time(read.expiresAt),
    document: JSON.parse(read.document) as SessionDocument
  }
}

/** The fields of a session's state, in the order in which they are read. */
export const stateFields = ['version', 'generation', 'used', 'staleBefore'] as const

/** Reads the state of a session from the values of `stateFields`; `null` if the key does not exist. */
export function readState ([version, generation, used, staleBefore]: readonly unknown[]): SessionState | null {
  if (version === null || version === undefined) return null
  return { version: Number(version), generation: Number(generation), used: String(used) === '1', staleBefore: Number(staleBefore) }
}
