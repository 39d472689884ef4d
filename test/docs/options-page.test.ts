import { readFileSync } from 'node:fs'
import t from 'tap'
import { optionsPage } from '../../scripts/options-page.ts'

t.test('docs/options.md says of every option what its doc comment says', async t => {
  t.equal(readFileSync(new URL('../../docs/options.md', import.meta.url), 'utf8'), optionsPage(), 'run npm run docs:options')
})

t.test('every option has a description', async t => {
  for (const row of optionsPage().matchAll(/^\| `(\w+)` \| .* \| (.*) \|$/gm)) t.not(row[2], '', row[1] as string)
})
