import { after, isPromise } from '../after.ts'
import type { MaybePromise } from '../types/claims.ts'
import type { SessionState, SplitStore, Store, TokenState } from '../types/store.ts'

function stateOf (denied: boolean, state: SessionState | null): TokenState {
  return denied ? 'denied' : state ?? 'unknown'
}

/** Both questions at once, so that they cost one round trip. */
function checkToken ({ denylist, sessions }: SplitStore, jti: string | null, sid: string): MaybePromise<TokenState> {
  const denied = denylist.isDenied(jti, sid)
  if (!isPromise(denied)) return after(sessions.getSessionState(sid), state => stateOf(denied, state))
  // An async function throws nothing, which would leave the first promise to itself.
  const state = (async () => sessions.getSessionState(sid))()
  return Promise.all([denied, state]).then(answers => stateOf(...answers))
}

/** Makes one store of a denylist and sessions that are kept apart. */
export function joinStores (split: SplitStore): Store {
  const { denylist, sessions } = split
  return {
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
