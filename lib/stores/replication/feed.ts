import type { Denial } from './replica.ts'

/** Told of what comes in, in the order in which the store has published it. */
export interface FeedListener {
  /**
   * Something was denied.
   *
   * @param before The position of the publication before this one, so that a missing one is noticed.
   * @param own Whether this server has denied it.
   */
  denied (denials: readonly Denial[], before: string, position: string, own: boolean): void
  /**
   * A mark that this server has asked for.
   *
   * @param position The last publication, when the mark was made.
   * @param born Since when the feed knows of every denial, in milliseconds since the epoch.
   */
  marked (name: string, position: string, born: number): void
  /** The connection is gone. */
  lost (reason: unknown): void
}

/** A connection that is listening. */
export interface FeedConnection {
  /** Asks the store for a mark: it comes behind all that was published before. */
  mark (name: string): Promise<void>
  /** Reads all live denials that were there when it was called, a page at a time. */
  load (take: (page: readonly Denial[]) => void): Promise<void>
  close (): void
}

/** How a store tells its servers of denials. */
export interface Feed {
  /**
   * Opens a connection of its own, and listens before it resolves. It rejects after a time-out.
   *
   * @param signal Ends the attempt: nobody waits for it any more.
   */
  connect (listener: FeedListener, signal: AbortSignal): Promise<FeedConnection>
}

/**
 * Waits for a connection.
 *
 * @param open Told by its signal to give up. A server that does not answer would keep the socket, and with it the process.
 * @param close For a connection that comes too late.
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
