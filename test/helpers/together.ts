// Runs several test files in one process: node --import ./scripts/typescript.js test/helpers/together.ts <files>
import { resolve } from 'node:path'
import { importTests } from './import-tests.ts'

await importTests('these files', process.argv.slice(2).map(file => resolve(file)))
