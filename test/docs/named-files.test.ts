import { existsSync, readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { errorCodes } from '../../lib/errors.ts'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const files = [...readdirSync(root), ...['lib', 'test', 'examples', 'bench', 'scripts', 'docs'].flatMap(folder =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).map(file => `${folder}/${file}`))]

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

const pages = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', ...files.filter(file => /^(docs|examples)\/.*\.md$/.test(file) && !file.startsWith('docs/api/'))]

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf (page: string): Set<string> {
  return new Set([...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => (heading as string).toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-')))
}

t.test('every link of a page leads to a file that is there, and to a heading of it', async t => {
  for (const page of pages) {
    for (const [, target] of read(page).replace(/^```[\s\S]*?^```$/gm, '').matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path, anchor] = (target as string).split('#')
      const file = new URL(path === '' ? page : path as string, new URL(path === '' ? '' : page, root))
      t.ok(existsSync(file), `${page}: ${target}`)
      if (anchor !== undefined && existsSync(file)) t.ok(anchorsOf(file.href.slice(root.href.length)).has(anchor), `${page}: ${target}`)
    }
  }
})

t.test('every code has its row among the errors, and its causes among the problems', async t => {
  for (const code of errorCodes) {
    t.match(read('docs/errors.md'), `| [\`${code}\`](problems.md#${code.toLowerCase()}) |`)
    t.ok(anchorsOf('docs/problems.md').has(code.toLowerCase()), code)
  }
})
