/** Someone who can sign in. */
export interface Account {
  /** In lower case: who signs up as Ada may sign in as ada. */
  name: string
  passwordHash: string
  /** Milliseconds since the epoch. */
  createdAt: number
}

/** Where accounts are kept: a table of your database, in an app of your own. */
export interface Accounts {
  find (name: string): Promise<Account | null>
  /** Whether the name was still free; both in one step, so that two sign-ups can't have the same. */
  create (account: Account): Promise<boolean>
  setPassword (name: string, passwordHash: string): Promise<void>
}
