import { after, isPromise } from '../after.ts'
import { checkAnswer } from './fail-closed.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { SessionState, SplitStore, Store, TokenState } from '../types/store.ts'

function stateOf (denied: boolean, state: SessionState | null): TokenState {
  return checkAnswer('isDenied', denied) ? 'denied' : checkAnswer('getSessionState', state) ?? 'unknown'
}

/** Sends both queries at once, so they cost one round trip. */
function checkToken ({ denylist, sessions }: SplitStore, jti: string | null, sid: string): MaybePromise<TokenState> {
  const denied = denylist.isDenied(jti, sid)
  if (!isPromise(denied)) return after(sessions.getSessionState(sid), state => stateOf(denied, state))
  // The async function turns a throw into a rejection: otherwise a rejection of the first promise would be unhandled.
  const state = (async () => sessions.getSessionState(sid))()
  return Promise.all([denied, state]).then(answers => stateOf(...answers))
}

/** Judges from memory only if both can: one has the denied tokens, the other the sessions. */
function judgeTogether ({ denylist, sessions }: SplitStore): Pick<Store, 'judge'> {
  if (denylist.judge === undefined || sessions.judge === undefined) return {}
  return {
    judge (token) {
      const verdicts = [denylist.judge?.(token), sessions.judge?.(token)]
      if (verdicts.includes('denied')) return 'denied'
      return verdicts.every(verdict => verdict === 'passes') ? 'passes' : 'ask'
    }
  }
}

/** Joins a denylist and a session store into one store. */
export function joinStores (split: SplitStore): Store {
  const { denylist, sessions } = split
  return {
    ...judgeTogether(split),
    get epoch () { return (denylist.epoch ?? 0) + (sessions.epoch ?? 0) },
    onSessionEnd: listener => {
      const ends = [denylist, sessions].map(store => store.onSessionEnd?.(listener))
      return () => { for (const end of ends) end?.() }
    },
    denyToken: (jti, sid, expiresAt) => denylist.denyToken(jti, sid, expiresAt),
    denySession: (sid, expiresAt) => denylist.denySession(sid, expiresAt),
    isDenied: (jti, sid) => denylist.isDenied(jti, sid),
    useOnce: (id, expiresAt) => denylist.useOnce(id, expiresAt),
    createSession: (session, limit) => sessions.createSession(session, limit),
    getSession: id => sessions.getSession(id),
    getSessionState: id => sessions.getSessionState(id),
    replaceSession: (id, version, change) => sessions.replaceSession(id, version, change),
    endSession: id => sessions.endSession(id),
    endSessions: (identity, except, limit) => sessions.endSessions(identity, except, limit),
    listSessions: (identity, after, limit) => sessions.listSessions(identity, after, limit),
    checkToken: (jti, sid) => checkToken(split, jti, sid),
    async open () {
      await denylist.open?.()
      await sessions.open?.()
    }
  }
}
