/** One thing to time: `run` does it `batch` times over. */
export interface Candidate {
  readonly name: string
  readonly run: (batch: number) => void
}

export function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] as number : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/** Between which two values the middle half lies. */
export function middleHalf (values: readonly number[]): readonly [number, number] {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number): number => sorted[Math.round((sorted.length - 1) * part)] as number
  return [at(0.25), at(0.75)]
}

/** A line that says what is being done, so that a long run is not a silent one. */
export function progress (line: string): void {
  process.stderr.write(`${line}\n`)
}

/**
 * Times candidates in turn, round after round, so that a machine that slows down slows them all.
 *
 * @returns Nanoseconds per operation in each round, by name.
 */
export function interleave (candidates: readonly Candidate[], rounds: number, batch: number): Map<string, number[]> {
  const times = new Map(candidates.map(({ name }) => [name, [] as number[]]))
  for (const { run } of candidates) run(batch)
  for (let round = 0; round < rounds; round++) {
    // Each round begins with another one, so that none always runs on what its neighbour left behind.
    for (let i = 0; i < candidates.length; i++) {
      const { name, run } = candidates[(i + round) % candidates.length] as Candidate
      const start = process.hrtime.bigint()
      run(batch)
      times.get(name)?.push(Number(process.hrtime.bigint() - start) / batch)
    }
  }
  return times
}

/** The median of the ratios of two candidates in the same round: what drifts slowly cancels. */
export function ratio (times: ReadonlyMap<string, readonly number[]>, a: string, b: string): number {
  const [left = [], right = []] = [times.get(a), times.get(b)]
  return median(left.map((value, round) => value / (right[round] as number)))
}
