import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { createProject, modules, run } from '../../helpers/packed-package.ts'
import { printed, program } from '../../helpers/packed-program.ts'

/** That of the workspace test/optional, or the one on the PATH. */
const bun = [join(modules, '@oven/bun-linux-x64/bin/bun'), 'bun'].find(file => {
  try {
    return execFileSync(file, ['--version'], { stdio: 'pipe' }).length > 0
  } catch {
    return false
  }
})

t.test('Bun runs a server as Node does', { skip: bun === undefined && 'no bun that runs here' }, async t => {
  const directory = await createProject('bun', { 'server.js': program }, { type: 'module' })
  const { stdout, stderr } = await run(bun ?? '', ['server.js'], directory)
  t.strictSame(JSON.parse(stdout), printed)
  t.equal(stderr, '')
})
