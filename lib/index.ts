export { default } from './plugin.ts'
export {
  crossOriginProtection, freshJwtRequired, jwtOptional, jwtRequired, refreshTokenRequired, verifyJwt
} from './request/hooks.ts'
export { allOf, anyOf, guard, not, permission, role, scope } from './guards.ts'
export type { ClaimGuardOptions, Guard, GuardFunction, GuardOptions } from './guards.ts'
export type * from './types.ts'
export type * from './app-jwt.ts'
export type * from './plugin-options.ts'
export type * from './tokens/key-types.ts'
export type * from './sessions/store.ts'
export type { JwtError, JwtErrorCode } from './errors.ts'
export type { JwtEvents } from './events.ts'
export { MemoryStore } from './sessions/memory-store.ts'
export { RedisStore } from './sessions/redis-store.ts'
export type { RedisStoreOptions } from './sessions/redis-store.ts'
export type {
  IoredisClient, IoredisCluster, NodeRedisClient, NodeRedisCluster, NodeRedisSentinel, RedisClient
} from './sessions/redis-client.ts'
