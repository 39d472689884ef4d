// Removes the declarations that no entry point of the package leads to: types of what is inside are nobody's business.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const entries = Object.values(exports).flatMap(entry => entry.types === undefined ? [] : [join(root, entry.types)])

const reached = new Set()
for (const file of entries) reach(file)

function reach (file) {
  if (reached.has(file)) return
  reached.add(file)
  for (const [, path] of readFileSync(file, 'utf8').matchAll(/^(?:import|export) .*['"](\.[^'"]+)\.[jt]s['"];$/gm)) {
    reach(join(dirname(file), `${path}.d.ts`))
  }
}

for (const name of readdirSync(join(root, 'dist'), { recursive: true })) {
  const file = join(root, 'dist', name)
  if (name.endsWith('.d.ts') && !reached.has(file)) rmSync(file)
}
