import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { importTests } from './import-tests.ts'

const lib = new URL('../lib/', import.meta.url)

/** Folders of `test/lib` that have a process of their own. */
const rooms = ['authenticate', 'jwt', 'keys', 'sessions', 'stores/redis', 'stores/sqlite', 'stores/postgres'] as const

/**
 * Imports the test files of one folder of `test/lib` into this process, or those of no such folder. To start a process for each file
 * takes longer than most of their tests do. To run a file by itself: `npx tap test/lib/….test.ts`.
 */
export async function importRoom (room: typeof rooms[number] | 'others'): Promise<void> {
  const files = readdirSync(lib, { recursive: true, encoding: 'utf8' }).map(file => file.replaceAll('\\', '/')).filter(file => file.endsWith('.test.ts')).sort()
  const roomOf = (file: string): string => rooms.find(folder => file.startsWith(`${folder}/`)) ?? 'others'
  await importTests(room, files.filter(file => roomOf(file) === room).map(file => fileURLToPath(new URL(file, lib))))
}
