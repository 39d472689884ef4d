/** Bars shown, and what they are called. */
const bars: ReadonlyArray<{ ratio: string | null, label: string, ours: boolean }> = [
  { ratio: null, label: 'Fastify, no authentication', ours: false },
  { ratio: 'a hook that does nothing / bare', label: 'a hook that does nothing', ours: false },
  { ratio: 'ours / bare', label: 'fastify-jwt-extended', ours: true },
  { ratio: 'ours with cookies / bare with cookies', label: '… by cookie, of cookies alone', ours: true },
  { ratio: 'hook by hand on fast-jwt / bare', label: 'a hook by hand on fast-jwt', ours: false },
  { ratio: '@fastify/jwt with cache / bare', label: '@fastify/jwt with its cache', ours: false },
  { ratio: '@fastify/jwt / bare', label: '@fastify/jwt', ours: false }
]

const left = 250
const widest = 400
const step = 34

/** The bar chart of throughput, as a share of that without authentication, as SVG, legible on light and dark. */
export function chart (ratios: Readonly<Record<string, number>>): string {
  const valueOf = (ratio: string | null): number => ratio === null ? 1 : ratios[ratio] as number
  const top = Math.max(...bars.map(({ ratio }) => valueOf(ratio)))
  const rows = bars.map(({ ratio, label, ours }, i) => {
    const value = valueOf(ratio)
    const width = Math.round(value / top * widest)
    const y = 48 + i * step
    return [
      `<text x="${left - 10}" y="${y + 15}" text-anchor="end">${label}</text>`,
      `<rect class="${ours ? 'ours' : 'other'}" x="${left}" y="${y}" width="${width}" height="22" rx="3"/>`,
      `<text x="${left + width + 8}" y="${y + 15}">${(value * 100).toFixed(0)} %</text>`
    ].join('')
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 ${64 + bars.length * step}" role="img" aria-label="Requests per second with authentication, of those without">
<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 15px; font-weight: 600 }
.ours { fill: #1a7f64 }
.other { fill: #8c959f }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .ours { fill: #3fb98f } .other { fill: #6e7681 } }
</style>
<text class="title" x="${left}" y="24">Requests per second, of those without authentication</text>
${rows.join('\n')}
</svg>
`
}
