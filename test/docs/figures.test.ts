import { readFileSync } from 'node:fs'
import t from 'tap'
import { chart } from '../../bench/chart.ts'
import { pages, withFigures } from '../../bench/figures.ts'
import type { Results } from '../../bench/figures.ts'

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const results = JSON.parse(read('bench/results.json')) as Results

t.test('README and docs show the figures that npm run bench wrote, and the chart of them', async t => {
  for (const page of pages) {
    const text = read(page)
    t.equal(withFigures(page, text, results), text, page)
  }
  t.equal(chart(results.http.ratios), read('docs/benchmarks.svg'))
})

t.test('README has no other figure of speed', async t => {
  const others = read('README.md').replace(/<!-- figures of npm run bench -->[^]*<!-- end of figures -->/, '')
  t.notMatch(others, /\d %|\d times|µs|\d requests/)
})

t.test('a page without a place for figures is refused', async t => {
  t.throws(() => withFigures('README.md', '# No place', results), /README\.md needs one/)
})
