// Lets Node 20 run TypeScript as later versions do by themselves: types are blanked out, so that every line and column
// stays where it is, and neither stack traces nor coverage need a source map.
import { register } from 'node:module'

if (!process.features.typescript) register('./strip-types-hooks.js', import.meta.url)
