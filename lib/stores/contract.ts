import { denylistContract } from './contract-tests/denylist.ts'
import { rotationContract } from './contract-tests/rotation.ts'
import { sessionContract } from './contract-tests/sessions.ts'
import type { StoreContractTest } from './contract-tests/contract-test.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { Store } from '../types/store.ts'

export type { StoreContractTest } from './contract-tests/contract-test.ts'

/**
 * Every rule that a {@link Store} must keep, each as a test of its own. Ids and identities are random, so that the tests may
 * run in parallel, and on a store that is in use.
 */
export const storeContract: readonly StoreContractTest[] =
  Object.freeze([...denylistContract, ...sessionContract, ...rotationContract])

/**
 * Declares a test for each rule of the contract, with the test function of any framework: `t.test` of tap, `test` of
 * `node:test` and Vitest, `it` of Mocha. Together they take about five seconds.
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
 * @param test Takes a name and a function whose rejection, with an `AssertionError`, fails the test.
 * @param store Returns the store, a new one or always the same. Called once per test. The caller closes it.
 */
export function testStore (
  test: (name: string, run: () => Promise<void>) => unknown, store: () => MaybePromise<Store>
): void {
  for (const { name, run } of storeContract) {
    // eslint-disable-next-line no-void -- node:test returns a promise that it handles itself
    void test(name, async () => run(await store()))
  }
}
