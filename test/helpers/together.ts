// Runs several test files in one process: node --import ./scripts/typescript.js test/helpers/together.ts <files>
import { pathToFileURL } from 'node:url'

for (const file of process.argv.slice(2)) await import(pathToFileURL(file).href)
