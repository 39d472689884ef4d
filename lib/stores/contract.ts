import { denylistContract } from './contract-tests/denylist.ts'
import { replacingContract } from './contract-tests/replacing.ts'
import { sessionContract } from './contract-tests/sessions.ts'
import type { StoreContractTest } from './contract-tests/contract-test.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { Store } from '../types/store.ts'

export type { StoreContractTest } from './contract-tests/contract-test.ts'

/**
 * Every rule that a {@link Store} keeps. Each can run on its own. Ids and identities are random, so rules can run
 * in parallel, and on a store that is in use.
 */
export const storeContract: readonly StoreContractTest[] =
  Object.freeze([...denylistContract, ...sessionContract, ...replacingContract])

/**
 * Declares a test for each rule of the contract, with the test function of any framework: tap's
 * `t.test`, `test` of `node:test` and Vitest, `it` of Mocha. They take about two seconds.
 *
 * ```ts
 * // node:test
 * import { after, test } from 'node:test'
 * import { testStore } from 'fastify-jwt-extended/store-contract'
 *
 * const store = new MyStore()
 * after(() => store.close())
 * testStore(test, () => store)
 * ```
 *
 * ```ts
 * // tap
 * import t from 'tap'
 * import { testStore } from 'fastify-jwt-extended/store-contract'
 *
 * const store = new MyStore()
 * t.teardown(() => store.close())
 * testStore((name, run) => t.test(name, run), () => store)
 * ```
 *
 * Each failure says what users of the store would lose.
 *
 * @param test Takes a name and a function whose rejection, with an `AssertionError`, fails the test.
 * @param store Returns the store, a new one or the same. Called once per test. The caller closes the store.
 */
export function testStore (
  test: (name: string, run: () => Promise<void>) => unknown, store: () => MaybePromise<Store>
): void {
  for (const { name, lost, run } of storeContract) {
    // eslint-disable-next-line no-void -- node:test returns a promise that it looks after itself
    void test(name, async () => {
      try {
        await run(await store())
      } catch (error) {
        if (error instanceof Error) error.message += `\nWithout this rule: ${lost}`
        throw error
      }
    })
  }
}
