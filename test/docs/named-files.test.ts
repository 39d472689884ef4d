import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const files = ['lib', 'test', 'examples', 'bench', 'scripts', 'docs'].flatMap(folder =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).map(file => `${folder}/${file}`))

t.test('every file of ours that a page names is there', async t => {
  let named = 0
  for (const page of ['README.md', 'SECURITY.md', 'CONTRIBUTING.md']) {
    for (const [, path] of read(page).matchAll(/`((?:[\w-]+\/)*[\w.-]+\.(?:ts|js|py))`/g)) {
      named++
      t.ok(files.some(file => file === path || file.endsWith(`/${path}`)), `${page}: ${path}`)
    }
  }
  t.ok(named > 20, `${named} files`)
})
