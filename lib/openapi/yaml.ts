/** Whether every version of YAML reads the text as a string without quotes. */
function isPlain (text: string): boolean {
  return /^[A-Za-z][\w-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text)
}

/** A value on one line: a scalar or an empty collection, as JSON, which is YAML (YAML 1.2 §1.3). `undefined` for other values. */
function inline (value: unknown): string | undefined {
  if (typeof value === 'string' && isPlain(value)) return value
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0 ? undefined : JSON.stringify(value)
}

function linesOf (value: object): string[] {
  const isList = Array.isArray(value)
  return Object.entries(value).flatMap(([name, member]: [string, unknown]) => {
    const key = isPlain(name) ? name : JSON.stringify(name)
    const text = inline(member)
    if (text !== undefined) return isList ? `- ${text}` : `${key}: ${text}`
    const lines = linesOf(member as object)
    return isList ? lines.map((line, index) => `${index === 0 ? '- ' : '  '}${line}`) : [`${key}:`, ...lines.map(line => `  ${line}`)]
  })
}

/** Writes a JSON document as block YAML. */
export function toYaml (document: object): string {
  // JSON drops the same values here as in the JSON route of @fastify/swagger.
  return `${linesOf(JSON.parse(JSON.stringify(document)) as object).join('\n')}\n`
}
