import { hkdfSync } from 'node:crypto'

/** The key for opaque refresh tokens that belongs to a key that signs (RFC 5869). */
export function opaqueKeyOf (keyMaterial: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', keyMaterial, '', 'fastify-jwt-extended opaque refresh tokens', 32))
}
