import { readdirSync } from 'node:fs'

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
  const mine = files.filter(file => roomOf(file) === room)
  if (mine.length === 0) throw new Error(`There are no tests in ${room}`)
  for (const file of mine) await import(new URL(file, lib).href)
}
