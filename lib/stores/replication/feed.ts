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
  /** Opens a connection of its own, and listens before it resolves. It rejects after a time-out. */
  connect (listener: FeedListener): Promise<FeedConnection>
}

/** Waits for a connection, and closes one that comes too late. @throws An error after the time-out, in milliseconds. */
export async function openInTime<T> (opening: Promise<T>, close: (opened: T) => void, timeout: number): Promise<T> {
  return new Promise((resolve, reject) => {
    let late = false
    const timer = setTimeout(() => {
      late = true
      reject(new Error(`the feed could not be opened within ${timeout} ms`))
    }, timeout).unref()
    opening.finally(() => { clearTimeout(timer) }).then(opened => {
      if (late) close(opened)
      else resolve(opened)
    }, reject)
  })
}
