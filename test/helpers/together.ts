// Runs a test file, or all of a folder in one process: node --import ./scripts/typescript.js test/helpers/together.ts <file or folder>
import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { importTests } from './import-tests.ts'

const path = resolve(process.argv[2] ?? '')
const files = statSync(path).isDirectory() ? readdirSync(path).filter(file => file.endsWith('.test.ts')).sort().map(file => join(path, file)) : [path]
await importTests('these files', files)
