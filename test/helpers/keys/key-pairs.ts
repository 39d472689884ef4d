import { generateKeyPairSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { Algorithm } from '../../../lib/types/keys.ts'

export interface KeyPair {
  privateKey: KeyObject
  publicKey: KeyObject
}

const made = new Map<string, KeyPair>()

function once (name: string, make: () => KeyPair): KeyPair {
  const pair = made.get(name) ?? make()
  made.set(name, pair)
  return pair
}

/** An RSA pair; the same one each time for a name, since it takes a while to make. */
export function rsaPair (name = 'first', bits = 2048): KeyPair {
  return once(`rsa ${name} ${bits}`, () => generateKeyPairSync('rsa', { modulusLength: bits }))
}

export function ecPair (namedCurve = 'P-256', name = 'first'): KeyPair {
  return once(`ec ${name} ${namedCurve}`, () => generateKeyPairSync('ec', { namedCurve }))
}

export function ed25519Pair (): KeyPair {
  return once('ed25519', () => generateKeyPairSync('ed25519'))
}

export function ed448Pair (): KeyPair {
  return once('ed448', () => generateKeyPairSync('ed448'))
}

/** A pair for an algorithm that takes one. */
export function pairFor (algorithm: Algorithm): KeyPair {
  switch (algorithm) {
    case 'ES256': return ecPair('P-256')
    case 'ES384': return ecPair('P-384')
    case 'ES512': return ecPair('P-521')
    case 'EdDSA': return ed25519Pair()
    default: return rsaPair()
  }
}

export const pemOf = ({ privateKey, publicKey }: KeyPair) => ({
  privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }),
  publicKey: publicKey.export({ format: 'pem', type: 'spki' })
})
