type Command = readonly [command: string, ...args: string[]]

/** What this file needs from a client of ioredis or iovalkey. */
interface PipeliningClient {
  call (command: string, args: string[]): Promise<unknown>
  pipeline? (commands: unknown[][]): { exec (): Promise<Array<[error: Error | null, reply: unknown]> | null> }
}

interface Waiting {
  readonly command: Command
  readonly resolve: (reply: unknown) => void
  readonly reject: (reason: unknown) => void
}

/** Captured here, because an app's test that fakes all timers replaces the global function, and would wait for ever. */
const afterReads = setImmediate

/**
 * Collects the commands of all requests that one turn of the event loop reads, and sends them in one write, as node-redis does by itself.
 * With 50 concurrent requests, a command costs a quarter less CPU. The store limits how many commands may wait.
 */
export function sendTogether (client: PipeliningClient): (command: string, args: string[]) => Promise<unknown> {
  let waiting: Waiting[] = []

  async function sendOne ({ command: [command, ...args], resolve, reject }: Waiting): Promise<void> {
    await client.call(command, args).then(resolve, reject)
  }

  async function sendBatch (batch: readonly Waiting[]): Promise<void> {
    const results = await client.pipeline?.(batch.map(({ command }) => ['call', ...command])).exec()
    for (const [index, { resolve, reject }] of batch.entries()) {
      const [error, reply] = results?.[index] ?? [new Error('Redis has not answered'), null]
      if (error === null) resolve(reply)
      else reject(error)
    }
  }

  function sendAll (): void {
    const batch = waiting
    waiting = []
    const groups = batch.length === 1 || client.pipeline === undefined ? batch.map(one => [one]) : [batch]
    for (const group of groups) {
      const sent = group.length === 1 ? sendOne(group[0] as Waiting) : sendBatch(group)
      sent.catch((reason: unknown) => { for (const { reject } of group) reject(reason) })
    }
  }

  return async (command, args) => new Promise((resolve, reject) => {
    // Immediates run after all requests of this turn have been read.
    if (waiting.push({ command: [command, ...args], resolve, reject }) === 1) afterReads(sendAll)
  })
}
