import { hkdfSync } from 'node:crypto'

/** Derives the key for opaque refresh tokens from a signing key (RFC 5869). */
export function opaqueKeyOf (keyMaterial: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', keyMaterial, '', 'fastify-jwt-extended opaque refresh tokens', 32))
}
