/** The servers that are compared. */
export const scenarioNames = [
  'bare', 'bare with cookies',
  'ours', 'ours, 1 token', 'ours, 20,000 tokens', 'ours, every token new', 'ours with cookies', 'ours with memory store',
  '@fastify/jwt', '@fastify/jwt with cache', '@fastify/jwt, every token new',
  'hook by hand on fast-jwt'
] as const

export type ScenarioName = typeof scenarioNames[number]
