import { badOption } from '../../errors.ts'
import { sendTogether } from './together.ts'
import { ioredisSubscribe, nodeRedisSubscribe } from './subscribe.ts'
import type { IoredisCopy, NodeRedisCopy, Subscribe } from './subscribe.ts'

/** A client of `ioredis`, `iovalkey` or `@fastify/redis` (`app.redis`): single node, Sentinel or Cluster. */
export interface IoredisClient {
  readonly status: string
  readonly isCluster: boolean
  call (command: string, args: string[]): Promise<unknown>
  pipeline? (commands: unknown[][]): { exec (): Promise<Array<[error: Error | null, reply: unknown]> | null> }
  /** For the `replicate` option, which needs a second connection. The `duplicate` of a Cluster has other parameters. */
  duplicate? (override?: object): unknown
}

/** A Cluster client of `ioredis` or `iovalkey`. */
export interface IoredisCluster extends IoredisClient {
  // `never[]` fits the types of both packages, and the function can't be called.
  readonly options: { readonly scaleReads?: string | ((...args: never[]) => unknown) }
  nodes (role: 'master'): Array<{ call (command: string, args: string[]): Promise<unknown> }>
}

/** The result of `createClient` and `createClientPool` of node-redis. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  sendCommand (args: string[], options: NodeRedisOptions): Promise<unknown>
  /** For the `replicate` option, which needs a second connection; a pool has none. */
  readonly options?: { readonly socket?: object }
  duplicate? (overrides?: { socket: object }): unknown
}

/** The result of `createCluster` of node-redis. */
export interface NodeRedisCluster {
  readonly isOpen: boolean
  // Only `nodeClient` of the same cluster can use these nodes.
  readonly masters: unknown[]
  nodeClient (node: never): Promise<NodeRedisClient>
  sendCommand (firstKey: string | undefined, isReadonly: boolean, args: string[], options: NodeRedisOptions): Promise<unknown>
}

/** The result of `createSentinel` of node-redis. */
export interface NodeRedisSentinel {
  readonly isOpen: boolean
  getMasterNode (): unknown
  duplicate (): unknown
  sendCommand (isReadonly: boolean, args: string[], options: NodeRedisOptions): Promise<unknown>
}

/** Options of a command. An empty type mapping overrides the one that the app has set for its own commands. */
interface NodeRedisOptions {
  readonly typeMapping: Record<never, never>
}

/** A client that `RedisStore` takes. None of these packages is a dependency. */
export type RedisClient = IoredisClient | IoredisCluster | NodeRedisClient | NodeRedisCluster | NodeRedisSentinel

/** A command and its arguments, sent to one server. @internal */
export type SendCommand = (command: string, args: string[]) => Promise<unknown>

/** A common interface to all clients. @internal */
export interface RedisConnection {
  /** Sends a command to the primary that holds `key`. Reads go there too, since a replica may not have a revocation yet. */
  send (key: string, command: string, args: string[]): Promise<unknown>
  /** All primaries, once the client is connected. */
  primaries (): Promise<SendCommand[]>
  /** Whether a script may only have keys of one slot. */
  readonly isCluster: boolean
  /** `null` if the client can't open a second connection. */
  readonly subscribe: Subscribe | null
}

const plainReplies: NodeRedisOptions = { typeMapping: {} }

function offers<Name extends string> (value: object, name: Name): value is object & Record<Name, unknown> {
  return name in value
}

function ioredis (client: IoredisClient): RedisConnection {
  const send = sendTogether(client)
  return {
    send: (_key, command, args) => send(command, args),
    primaries: async () => [send],
    isCluster: false,
    subscribe: ioredisSubscribe(options => client.duplicate?.(options) as IoredisCopy)
  }
}

function ioredisCluster (cluster: IoredisCluster): RedisConnection {
  const { scaleReads } = cluster.options
  if (scaleReads !== undefined && scaleReads !== 'master') {
    throw badOption('store.client', "is a Cluster client whose scaleReads is not 'master', but a replica " +
      'may not have a revocation yet; give the store a client of its own without scaleReads')
  }
  return {
    send: (_key, command, args) => cluster.call(command, args),
    primaries: async () => cluster.nodes('master').map(node => (command, args) => node.call(command, args)),
    isCluster: true,
    subscribe: null
  }
}

function nodeRedis (client: NodeRedisClient): RedisConnection {
  const send: SendCommand = (command, args) => client.sendCommand([command, ...args], plainReplies)
  return {
    send: (_key, command, args) => send(command, args),
    primaries: async () => [send],
    isCluster: false,
    // A pool has no `duplicate`.
    subscribe: client.duplicate === undefined
      ? null
      : nodeRedisSubscribe(() => client.duplicate?.({ socket: { ...client.options?.socket, reconnectStrategy: false } }) as NodeRedisCopy)
  }
}

function nodeRedisCluster (cluster: NodeRedisCluster): RedisConnection {
  return {
    send: (key, command, args) => cluster.sendCommand(key, false, [command, ...args], plainReplies),
    primaries: async () => {
      const clients = await Promise.all(cluster.masters.map(async node => cluster.nodeClient(node as never)))
      return clients.map(client => (command, args) => client.sendCommand([command, ...args], plainReplies))
    },
    isCluster: true,
    subscribe: null
  }
}

function nodeRedisSentinel (sentinel: NodeRedisSentinel): RedisConnection {
  const send: SendCommand = (command, args) => sentinel.sendCommand(false, [command, ...args], plainReplies)
  return {
    send: (_key, command, args) => send(command, args),
    primaries: async () => [send],
    isCluster: false,
    subscribe: nodeRedisSubscribe(() => sentinel.duplicate() as NodeRedisCopy)
  }
}

/**
 * Detects the kind of client. Called once.
 *
 * @throws `FST_JWT_BAD_OPTION` if it is none of them.
 *
 * @internal
 */
export function connectionOf (client: unknown): RedisConnection {
  if (typeof client === 'object' && client !== null) {
    if (offers(client, 'call') && offers(client, 'status')) {
      return offers(client, 'nodes') ? ioredisCluster(client as IoredisCluster) : ioredis(client as IoredisClient)
    }
    if (offers(client, 'sendCommand') && offers(client, 'isOpen')) {
      if (offers(client, 'nodeClient')) return nodeRedisCluster(client as NodeRedisCluster)
      if (offers(client, 'getMasterNode')) return nodeRedisSentinel(client as NodeRedisSentinel)
      return nodeRedis(client as NodeRedisClient)
    }
  }
  throw badOption('store.client', 'takes a client of ioredis, iovalkey, node-redis or @fastify/redis ' +
    '(app.redis, or app.redis.name if it was registered with a namespace)')
}
