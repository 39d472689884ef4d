// Writes docs/options.md from the doc comments of lib/types/options.ts: `npm run docs:options`. With --check, as a test runs it,
// it only says whether the page is what they say.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const source = fileURLToPath(new URL('../lib/types/options.ts', import.meta.url))
const page = fileURLToPath(new URL('../docs/options.md', import.meta.url))

/** A doc comment as one line of Markdown that may stand in a table. */
function oneLine (comment: string): string {
  return comment.replace(/\{@link (\w+)\}/g, '`$1`').replace(/\s+/g, ' ').replaceAll('|', '\\|').trim()
}

function describe (member: ts.PropertySignature, file: ts.SourceFile): string {
  const doc = ts.getJSDocCommentsAndTags(member)[0] as ts.JSDoc
  const tags = (doc.tags ?? []).map(tag => {
    const text = ts.getTextOfJSDocComment(tag.comment) ?? ''
    return ts.isJSDocParameterTag(tag) ? `\`${tag.name.getText(file)}\`: ${text}` : ts.isJSDocReturnTag(tag) ? `Returns: ${text}` : text
  })
  return oneLine([ts.getTextOfJSDocComment(doc.comment) ?? '', ...tags].join(' '))
}

/** The text of docs/options.md. */
function optionsPage (): string {
  const file = ts.createSourceFile(source, readFileSync(source, 'utf8'), ts.ScriptTarget.Latest, true)
  const interfaces = file.statements.filter(ts.isInterfaceDeclaration).filter(({ members }) => members.length > 0)
  /** Where the type of an option names an interface: the interface that has the option, and the option. */
  const userOf = (name: string) => interfaces.flatMap(parent => parent.members.filter(ts.isPropertySignature)
    .filter(({ type }) => new RegExp(`\\b${name}\\b`).test(type?.getText(file) ?? '')).map(member => ({ parent, option: member.name.getText(file) })))[0]
  // The members of an option stand after the section of that option.
  const sorted = interfaces.filter(({ name }) => userOf(name.text) === undefined)
    .flatMap(section => [section, ...interfaces.filter(({ name }) => userOf(name.text)?.parent === section)])
  const sections = sorted.map(declaration => {
    const [, title, rest] = /^(.*?)\.(?: (.*))?$/.exec(oneLine(ts.getTextOfJSDocComment((ts.getJSDocCommentsAndTags(declaration)[0] as ts.JSDoc).comment) ?? '')) ?? []
    const user = userOf(declaration.name.text)
    const type = user === undefined ? `Type \`${declaration.name.text}\`.` : `Members of the option \`${user.option}\`, type \`${declaration.name.text}\`.`
    const rows = declaration.members.filter(ts.isPropertySignature).map(member =>
      `| \`${member.name.getText(file)}\` | \`${oneLine(member.type?.getText(file) ?? '')}\` | ${describe(member, file)} |`)
    return `${user === undefined ? '##' : '###'} ${title}\n\n${[type, rest].filter(Boolean).join(' ')}\n\n| option | type | description |\n| --- | --- | --- |\n${rows.join('\n')}\n`
  })
  return `# Every option

All options are given to \`register\`:

\`\`\`js
await app.register(jwt, { secretKey: process.env.JWT_SECRET_KEY, accessExpires: '15m', tokenLocation: ['headers', 'cookies'] })
\`\`\`

They are checked at registration. An unknown name, a wrong value, or options that can't work together stop start-up with
\`FST_JWT_BAD_OPTION\`, and the message names the option and the remedy.

A duration is a number of seconds, or a string with a unit such as \`'15m'\`, \`'12 hours'\` or \`'30d'\`.

${sections.join('\n')}`
}

if (process.argv[2] !== '--check') {
  writeFileSync(page, optionsPage())
} else if (readFileSync(page, 'utf8') !== optionsPage()) {
  console.error('docs/options.md is not what lib/types/options.ts says: run npm run docs:options')
  process.exitCode = 1
}
