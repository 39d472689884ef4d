import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { plainEnvironment, withTypes } from '../helpers/example-process.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

t.test('docs/options.md says of every option what its doc comment says', async t => {
  const { status, stderr } = spawnSync(process.execPath, [...withTypes, 'scripts/options-page.ts', '--check'], { cwd: root, env: plainEnvironment(), encoding: 'utf8' })
  t.equal(status, 0, stderr)
})

t.test('every option says what it does, and not its default alone', async t => {
  const rows = [...readFileSync(`${root}/docs/options.md`, 'utf8').matchAll(/^\| `(\w+)` \| .* \| (.*) \|$/gm)]
  t.ok(rows.length > 60, `${rows.length} options`)
  for (const [, name, description] of rows) t.notMatch(description, /^(?:Default\b|$)/, name as string)
})
