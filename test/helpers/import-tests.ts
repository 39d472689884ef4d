import { pathToFileURL } from 'node:url'
import t from 'tap'

/**
 * Imports test files into this process, all of them before the first of their tests begins: tap ends when it has nothing to do, and a
 * test may measure.
 *
 * @param files Paths. None of them may wait for its own tests.
 */
export async function importTests (name: string, files: readonly string[]): Promise<void> {
  await t.test(`the tests of ${name} are loaded`, async t => {
    for (const file of files) await import(pathToFileURL(file).href)
    t.ok(files.length > 0)
  })
}
