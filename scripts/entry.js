// Makes of what tsc has built the entry that `require` and `import` both load. `module.exports` is the plugin, with the other exports as
// its properties, as in Fastify's own plugins. Its types are a function and a namespace of the same name (`export =`), the one form that
// describes this to both kinds of importers; all of them stand in one file, so that `declare module 'fastify-jwt-extended'` can add to
// JwtClaims and JwtUser. Declarations that no entry needs are removed.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
const index = join(dist, 'index.d.ts')
const plugin = 'fastifyJwtExtended'

const parse = file => ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true)

/** The declarations that a relative specifier names in a file of dist. */
const declarationsOf = (file, specifier) => join(dirname(file), specifier.text.replace(/\.[jt]s$/, '.d.ts'))

const isRelative = node => node.moduleSpecifier?.text.startsWith('.') === true

const nameOf = statement => (statement.name ?? statement.declarationList?.declarations[0]?.name)?.text

/** What index.d.ts exports: `null` for all of a file. */
const exported = new Map()
const values = []
for (const statement of parse(index).statements) {
  const file = declarationsOf(index, statement.moduleSpecifier)
  const names = statement.exportClause?.elements.map(element => element.name.text) ?? null
  if (names !== null && !statement.isTypeOnly) values.push([statement.moduleSpecifier.text.replace(/\.ts$/, '.js'), names])
  exported.set(file, names === null ? null : [...(exported.get(file) ?? []), ...names])
}

const external = new Map()
const members = []
const augmentations = []
/** Names of the namespace that are used outside of it. */
const aliases = new Set()
let signature = ''

for (const [file, names] of exported) {
  const source = parse(file)
  const comment = statement => source.text.slice(statement.pos, statement.getStart()).trim()
  const alias = () => {
    for (const { importClause } of source.statements.filter(isRelative)) for (const { name } of importClause.namedBindings.elements) aliases.add(name.text)
  }
  for (const statement of source.statements) {
    const text = statement.getText()
    if (ts.isImportDeclaration(statement)) {
      if (isRelative(statement)) continue
      const known = external.get(statement.moduleSpecifier.text) ?? new Set()
      for (const element of statement.importClause.namedBindings.elements) known.add(element.getText())
      external.set(statement.moduleSpecifier.text, known)
    } else if (ts.isModuleDeclaration(statement)) {
      augmentations.push(text)
      alias()
    } else if (ts.isFunctionDeclaration(statement) && names?.includes('default')) {
      signature = text.replace(`function ${nameOf(statement)}(`, `function ${plugin}(`)
      alias()
    } else if (nameOf(statement) === '_default') {
      signature = `${comment(statement)}\n${signature}`
    } else if (nameOf(statement) !== undefined && (names === null || names.includes(nameOf(statement)))) {
      members.push(`${comment(statement)}\n${text.replace(/^export (declare )?/, 'export ')}`)
    }
  }
}

const indented = text => text.trim().replace(/^(?=.)/gm, '    ')

writeFileSync(index, `${[...external].map(([module, names]) => `import type { ${[...names].sort().join(', ')} } from '${module}';`).join('\n')}
${[...aliases].sort().map(name => `import ${name} = ${plugin}.${name};`).join('\n')}
${augmentations.join('\n')}
declare namespace ${plugin} {
${members.map(indented).join('\n')}
    export { ${plugin} as default };
}
${signature}
export = ${plugin};
`)

/** `claimGuards` for `./guards/claim-guards.js`. */
const variable = specifier => basename(specifier, '.js').replace(/-(.)/g, (_, letter) => letter.toUpperCase())
writeFileSync(join(dist, 'index.js'), `'use strict'
${values.map(([specifier]) => `const ${variable(specifier)} = require('${specifier}')`).join('\n')}

module.exports = plugin.default
${values.flatMap(([specifier, names]) => names.map(name => `module.exports.${name} = ${variable(specifier)}.${name}`)).join('\n')}
`)

/** The other entries take the types of the first from there, and keep the declarations they need besides. */
const kept = new Set([index])
function keep (file) {
  if (kept.has(file)) return
  kept.add(file)
  let text = readFileSync(file, 'utf8')
  for (const statement of parse(file).statements.filter(isRelative)) {
    const target = declarationsOf(file, statement.moduleSpecifier)
    if (exported.has(target)) text = text.replace(statement.moduleSpecifier.getText(), `'${relative(dirname(file), join(dist, 'index.js'))}'`)
    else keep(target)
  }
  writeFileSync(file, text)
}
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
for (const { types } of Object.values(exports)) if (types !== undefined && !types.includes('/browser/')) keep(join(root, types))
for (const file of readdirSync(dist, { recursive: true }).map(name => join(dist, name))) {
  if (file.endsWith('.d.ts') && !kept.has(file) && !file.startsWith(join(dist, 'browser', '/'))) rmSync(file)
}

// Nothing is left of a folder of types.
rmSync(join(dist, 'types'), { recursive: true })

// The sources are ES modules, as package.json says, and so is the client for browsers.
const describe = (folder, description) => { writeFileSync(join(dist, folder, 'package.json'), `${JSON.stringify(description)}\n`) }
describe('.', { type: 'commonjs' })
describe('browser', { type: 'module', sideEffects: false })
