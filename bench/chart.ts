/** Bars shown, and what they are called. */
const bars: ReadonlyArray<{ name: string, label: string, ours: boolean }> = [
  { name: 'bare', label: 'Fastify, no authentication', ours: false },
  { name: 'ours', label: 'fastify-jwt-extended', ours: true },
  { name: 'ours with memory store', label: '… with revocation (memory)', ours: true },
  { name: 'hook by hand on fast-jwt', label: 'a hook by hand on fast-jwt', ours: false },
  { name: '@fastify/jwt with cache', label: '@fastify/jwt with its cache', ours: false },
  { name: '@fastify/jwt', label: '@fastify/jwt', ours: false },
  { name: 'bare with cookies', label: '@fastify/cookie, no authentication', ours: false },
  { name: 'ours with cookies', label: 'fastify-jwt-extended, cookies', ours: true }
]

const left = 250
const widest = 400
const step = 34

/** The bar chart of requests per second as SVG, legible on light and dark. */
export function chart (perSecond: Readonly<Record<string, number>>): string {
  const top = Math.max(...bars.map(({ name }) => perSecond[name] as number))
  const rows = bars.map(({ name, label, ours }, i) => {
    const value = perSecond[name] as number
    const width = Math.round(value / top * widest)
    const y = 48 + i * step
    return [
      `<text x="${left - 10}" y="${y + 15}" text-anchor="end">${label}</text>`,
      `<rect class="${ours ? 'ours' : 'other'}" x="${left}" y="${y}" width="${width}" height="22" rx="3"/>`,
      `<text x="${left + width + 8}" y="${y + 15}">${value.toLocaleString('en')}</text>`
    ].join('')
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 ${64 + bars.length * step}" role="img" aria-label="Requests per second, by way of authentication">
<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.ours { fill: #1a7f64 }
.other { fill: #8c959f }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .ours { fill: #3fb98f } .other { fill: #6e7681 } }
</style>
<text class="title" x="${left}" y="24">Requests per second, 500 tokens, one core (more is better)</text>
${rows.join('\n')}
</svg>
`
}
