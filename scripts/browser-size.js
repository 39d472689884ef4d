// Prints what the browser client weighs on the wire, and fails above its limit. It ships as readable code without comments, which stand in
// its declarations: whoever runs it in their pages can read it there, and a bundler minifies it anyway.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const limit = 2048
const size = gzipSync(readFileSync(new URL('../dist/browser/fetch.js', import.meta.url)), { level: 9 }).length
console.log(`fastify-jwt-extended/browser: ${size} of ${limit} bytes, gzipped`)
if (size > limit) process.exitCode = 1
