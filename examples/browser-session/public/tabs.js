/** The other tabs of this site in this browser: told when someone signs in or out, so that none shows what is over. */
export const tabs = new BroadcastChannel('session')
