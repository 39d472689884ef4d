import type { Denial } from './replica.ts'

/** Receives what the store publishes, in the order of publication. */
export interface FeedListener {
  /**
   * Something was denied.
   *
   * @param before The position of the previous publication, so that a missing one is noticed.
   * @param own Whether this server has denied it.
   */
  denied (denials: readonly Denial[], before: string, position: string, own: boolean): void
  /**
   * A mark that this server has requested.
   *
   * @param position The position of the last publication before the mark.
   * @param born The time since which the feed has every denial, in milliseconds since the epoch.
   */
  marked (name: string, position: string, born: number): void
  /** The connection is gone. */
  lost (reason: unknown): void
}

/** A connection that is listening. */
export interface FeedConnection {
  /** Requests a mark from the store. It arrives after everything that was published before it. */
  mark (name: string): Promise<void>
  /** Reads, page by page, all live denials that existed when it was called. */
  load (take: (page: readonly Denial[]) => void): Promise<void>
  close (): void
}

/** How a store tells its servers of denials. */
export interface Feed {
  /** An id as it stands in the feed. */
  nameOf (id: string): string
  /**
   * Opens a separate connection, which listens before the promise resolves. It rejects after a time-out.
   *
   * @param signal Aborts the attempt.
   */
  connect (listener: FeedListener, signal: AbortSignal): Promise<FeedConnection>
}

/**
 * Waits for a connection.
 *
 * @param open Opens it. Its signal aborts the attempt: otherwise a server that does not answer keeps the socket and the process alive.
 * @param close Closes a connection that was opened too late.
 * @param timeout Milliseconds.
 * @throws An error after the time-out, or if the signal is aborted.
 */
export async function openInTime<T> (open: (signal: AbortSignal) => Promise<T>, close: (opened: T) => void, timeout: number, signal: AbortSignal): Promise<T> {
  const attempt = new AbortController()
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      attempt.abort()
      reject(new Error(`the feed could not be opened within ${timeout} ms`))
    }
    const timer = setTimeout(giveUp, timeout).unref()
    signal.addEventListener('abort', giveUp, { once: true })
    open(attempt.signal).finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', giveUp)
    }).then(opened => {
      if (attempt.signal.aborted) close(opened)
      else resolve(opened)
    }, reject)
  })
}
