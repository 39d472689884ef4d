import { Replica } from './replica.ts'
import type { Feed, FeedConnection, FeedListener } from './feed.ts'
import type { ReplicaStatus, ReplicateOptions } from './options.ts'
import type { Denial, Verdict } from './replica.ts'
import type { HeldToken } from '../../types/store.ts'

/** The longest pause between two attempts to connect. Milliseconds. */
const maxRetryDelay = 5000

/** If the wall clock is moved by more than this many milliseconds, the denials are loaded again: they were kept by another time. */
const clockJump = 5000

/** Marks in a row without an answer after which the connection counts as dead. */
const patience = 8

/** Keeps a replica up to date: connects, requests marks, loads, and starts over if something is lost. */
export class Replication {
  readonly #feed: Feed
  readonly #replica: Replica
  readonly #interval: number
  readonly #listeners = new Set<(sid: string) => void>()
  /** When each outstanding mark was requested, by the monotonic clock and by the wall clock. */
  readonly #asked = new Map<string, { readonly askedAt: number, readonly wallTime: number }>()
  readonly #said = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #connection: FeedConnection | null = null
  /** The current attempt to connect. */
  #connecting: AbortController | null = null
  /** The wall clock minus the monotonic clock, when the last mark that has arrived was requested. */
  #offset = Infinity
  /** The same, when the denials were loaded. */
  #loadOffset = NaN
  /** Failed attempts to connect since the last complete load, and when the next one may begin. */
  #failures = 0
  #retryAt = 0
  /** Counts the connections, so that messages of an old one are ignored. */
  #attempt = 0
  #marks = 0
  /** Marks requested since the last one arrived. */
  #unanswered = 0
  /** Why a mark could not be requested since the last one arrived. */
  #markFault: unknown = null
  /** Set after the first complete load. Until then, listeners are not called: most denials are from before this server started. */
  #complete = false

  constructor (feed: Feed, { maxStaleness, maxEntries }: Required<ReplicateOptions>, clockSkew: number) {
    this.#feed = feed
    this.#replica = new Replica({ nameOf: feed.nameOf, maxStaleness, maxEntries, clockSkew })
    // Several marks in each period, so that a late one causes no query.
    this.#interval = Math.min(maxStaleness / 4, 250)
  }

  get status (): ReplicaStatus {
    return { trusted: this.#replica.trusted(this.#now()), denials: this.#replica.size }
  }

  /** `Store.epoch` */
  get epoch (): number {
    return this.#replica.epoch
  }

  start (): void {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => { this.#beat() }, this.#interval).unref()
    this.#beat()
  }

  close (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#failures = this.#retryAt = 0
    this.#drop()
  }

  judge (token: HeldToken): Verdict {
    return this.#replica.judge(token, this.#now())
  }

  /**
   * The time that decides when trust ends. The monotonic clock stops while a machine is suspended, so the later of both clocks is used.
   * After a jump of the wall clock, a token may be valid again whose denial has expired here: nothing is trusted until the next mark.
   */
  #now (): number {
    const monotonic = performance.now()
    const moved = Date.now() - monotonic - this.#offset
    return Math.abs(moved) > clockJump ? Infinity : monotonic + Math.max(0, moved)
  }

  /** Runs a revocation by this server, which takes effect here at once. */
  async hold<T> (kind: Denial['kind'], id: string, work: () => Promise<T>): Promise<T> {
    const settle = this.#replica.hold(kind, id)
    try {
      return await work()
    } finally {
      settle(performance.now())
    }
  }

  /** This server has ended sessions, and knows their ids only from the answer of the store. */
  ended (ids: readonly string[]): void {
    for (const id of ids) this.settled('session', id)
  }

  /** This server has revoked something, and the store has answered. As after `hold`, the store is queried until the feed has brought it. */
  settled (kind: Denial['kind'], id: string): void {
    this.#replica.hold(kind, id)(performance.now())
  }

  /** @param listener Called with the id of each session that another server has ended. @returns Removes the listener. */
  onSessionEnd (listener: (sid: string) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  #beat (): void {
    const now = performance.now()
    this.#replica.sweep(now)
    if (this.#replica.overflowed) this.#say('full', 'there are more denials than replicate.maxEntries')
    if (this.#connection !== null && this.#unanswered >= patience) this.#fail(this.#markFault ?? 'the feed does not answer')
    if (this.#connection !== null) this.#askForMark(this.#connection, now)
    else if (this.#connecting === null && now >= this.#retryAt) this.#connect()
  }

  #askForMark (connection: FeedConnection, now: number): void {
    const name = String(++this.#marks)
    this.#asked.set(name, { askedAt: now, wallTime: Date.now() })
    this.#unanswered++
    // If this fails, the mark stays unanswered.
    connection.mark(name).catch((reason: unknown) => { if (connection === this.#connection) this.#markFault = reason })
  }

  #connect (): void {
    const attempt = ++this.#attempt
    const connecting = new AbortController()
    this.#connecting = connecting
    this.#feed.connect(this.#listenerOf(attempt), connecting.signal).then(connection => {
      if (attempt !== this.#attempt) {
        connection.close()
        return
      }
      this.#connecting = null
      this.#connection = connection
      this.#askForMark(connection, performance.now())
    }, (reason: unknown) => { if (attempt === this.#attempt) this.#fail(reason) })
  }

  #listenerOf (attempt: number): FeedListener {
    return {
      denied: (denials, before, position, own) => {
        if (attempt !== this.#attempt) return
        this.#take(denials, own)
        this.#replica.published(before, position)
      },
      marked: (name, position, born) => {
        const asked = this.#asked.get(name)
        // A mark that was requested on another connection: names are never reused.
        if (asked === undefined) return
        const { askedAt, wallTime } = asked
        // Marks arrive in the order in which they were requested, so an earlier one will not arrive.
        const names = [...this.#asked.keys()]
        for (const earlier of names.slice(0, names.indexOf(name) + 1)) this.#asked.delete(earlier)
        this.#unanswered = 0
        this.#markFault = null
        this.#offset = wallTime - askedAt
        if (Math.abs(this.#offset - this.#loadOffset) > clockJump) this.#replica.lost()
        const load = this.#replica.marked({ position, askedAt, born })
        if (load === null) return
        this.#loadOffset = this.#offset
        this.#loadAll(load, attempt)
      },
      lost: reason => { if (attempt === this.#attempt) this.#fail(reason) }
    }
  }

  #loadAll (load: number, attempt: number): void {
    this.#connection?.load(page => { if (attempt === this.#attempt) this.#take(page, false) }).then(() => {
      if (attempt !== this.#attempt) return
      this.#replica.loaded(load, performance.now())
      this.#complete = true
      this.#failures = 0
      if (this.#connection !== null) this.#askForMark(this.#connection, performance.now())
    }, (reason: unknown) => { if (attempt === this.#attempt) this.#fail(reason) })
  }

  #take (denials: readonly Denial[], own: boolean): void {
    const now = performance.now()
    for (const denial of denials) {
      if (!this.#replica.add(denial, now) || denial.kind !== 'session' || own || !this.#complete) continue
      for (const listener of this.#listeners) listener(denial.id)
    }
  }

  /** Drops the connection. The next beat opens another one; after repeated failures, a later beat does. */
  #fail (reason: unknown): void {
    this.#drop()
    this.#retryAt = performance.now() + Math.min(this.#interval * (2 ** this.#failures - 1), maxRetryDelay)
    this.#failures++
    this.#say('feed', reason instanceof Error ? reason.message : String(reason))
  }

  #drop (): void {
    this.#attempt++
    this.#connecting?.abort()
    this.#connecting = null
    this.#connection?.close()
    this.#connection = null
    this.#asked.clear()
    this.#unanswered = 0
    this.#markFault = null
    this.#replica.lost()
  }

  #say (kind: string, reason: string): void {
    if (this.#said.has(kind)) return
    this.#said.add(kind)
    warnOfNoReplica(reason)
  }
}

/** Warns that requests query the store, and why. This does not affect security. */
export function warnOfNoReplica (reason: string): void {
  process.emitWarning(`The replica of revocations is not in use: ${reason}. Requests ask the store. This is said once.`, {
    type: 'FastifyJwtExtendedWarning', code: 'FST_JWT_NO_REPLICA'
  })
}
