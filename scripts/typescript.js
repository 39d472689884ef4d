// Lets Node 20 run TypeScript as later versions do by themselves: `node --import ./scripts/typescript.js file.ts`. Types are blanked
// out, so every line and column stays in its place, and neither stack traces nor coverage need a source map.
import { register } from 'node:module'

if (!process.features.typescript) register('./typescript-hooks.js', import.meta.url)
