export type * from './types.ts'
export type * from './tokens/key-types.ts'
export type * from './sessions/store.ts'
export type { JwtError, JwtErrorCode } from './errors.ts'
