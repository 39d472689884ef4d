import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** For `node`, before the name of a program in TypeScript. */
export const withTypes = ['--import', new URL('../../scripts/typescript.js', import.meta.url).href] as const

export interface ExampleProcess {
  /** Where it listens, as it printed it. */
  url: string
  /** Stops it, as Ctrl-C does, and waits for its end. */
  stop (): Promise<void>
  /** All it has printed so far, on both streams. */
  output (): string
}

/** The environment without what tap puts there for its own children. */
export function plainEnvironment (env: Record<string, string> = {}): NodeJS.ProcessEnv {
  const plain = Object.entries(process.env).filter(([name]) =>
    name !== 'NODE_V8_COVERAGE' && name !== 'NODE_OPTIONS' && !/^_?TAP/.test(name))
  // Said here, or tap says the opposite: what a program does is no coverage of lib/.
  return { ...Object.fromEntries(plain), _TAPJS_PROCESSINFO_COVERAGE_: '0', ...env }
}

/** A port that nothing listens on. */
export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A folder that goes when the test ends. */
export async function temporaryFolder (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fastify-jwt-extended-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/**
 * Starts a program of examples/ on a free port, and stops it when the test ends. The programs import the
 * package by its name, which is what was last built into dist/.
 *
 * @param name The file's name without `.ts`.
 */
export async function startExample (t: Test, name: string, env: Record<string, string> = {}): Promise<ExampleProcess> {
  const folder = env['DATA_FOLDER'] ?? await temporaryFolder(t)
  const child = spawn(process.execPath, [...withTypes, `examples/${name}.ts`], {
    cwd: root,
    env: plainEnvironment({ PORT: '0', HOST: '127.0.0.1', DATA_FOLDER: folder, ...env }),
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill()
    await exited
  })
  let output = ''
  const url = await new Promise<string>((resolve, reject) => {
    const read = (chunk: string) => {
      output += chunk
      const [printed] = /https?:\/\/127\.0\.0\.1:[1-9]\d*(?=\s)/.exec(output) ?? []
      if (printed !== undefined) resolve(printed)
    }
    child.stdout.setEncoding('utf8').on('data', read)
    child.stderr.setEncoding('utf8').on('data', read)
    child.on('error', reject)
    child.on('exit', code => reject(new Error(`examples/${name}.ts ended with ${code} before it listened:\n${output}`)))
  })
  return {
    url,
    output: () => output,
    async stop () {
      child.kill('SIGINT')
      await exited
    }
  }
}
