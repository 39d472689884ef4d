// Runs TypeScript 7 by its place: the linter still needs the API of TypeScript 6, and npm links the command `tsc` to either of them.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const tsc = fileURLToPath(new URL('../node_modules/@typescript/native/bin/tsc', import.meta.url))
process.exitCode = spawnSync(process.execPath, [tsc, ...process.argv.slice(2)], { stdio: 'inherit' }).status ?? 1
