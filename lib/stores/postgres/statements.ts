import type { TableNames } from './schema.ts'

/** Every statement of the store. */
export type Statements = Readonly<Record<
  'deny' | 'isDenied' | 'useOnce' | 'checkToken' | 'create' | 'find' | 'state' | 'replace' | 'end' | 'endAll' | 'list' |
  'forgetDenials' | 'forgetUsedIds' | 'forgetSessions' | 'forgetOwners' | 'mark' | 'loadDenials', string>>

/** The database's clock, in milliseconds. */
export const clock = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

/** Milliseconds for which the feed stays after the last replicating server is gone. */
const feedLife = 86_400_000

/**
 * Common table expressions that notify the replicating servers. Groups keep each payload below PostgreSQL's limit of 8,000 bytes.
 *
 * @param kind The kind of the denials, as SQL.
 * @param denied The name of the expression that holds them, with `id` and `expires_at`.
 * @param server The server that denies, as SQL.
 * @param channel The channel, as SQL.
 */
function notify (kind: string, denied: string, server: string, channel: string): string {
  return `grouped AS (
        SELECT id, expires_at, sum(octet_length(to_json(id)::text) + 30) OVER (ORDER BY id) / 4000 AS number FROM ${denied}
      ),
      told AS MATERIALIZED (
        SELECT pg_notify(${channel}, json_build_array(${kind}, ${server}, json_agg(json_build_array(id, expires_at)))::text)
        FROM grouped GROUP BY number
      )`
}

/**
 * Each method of the store is one statement, so it is atomic at PostgreSQL's default isolation level. A statement sees what was
 * committed when it began, even if it then waited for a row lock. So a login first increments a counter in the row of its identity,
 * and so does a statement that ends all sessions. Others wait for that row. The new count tells whether another one came in between.
 */
export function statementsFor ({ denials, usedIds, sessions, owners }: TableNames, channelName: string): Statements {
  const channel = `'${channelName}'`
  // The feed is a row whose id is the time when it was created. Without it, no server replicates.
  const replicated = `EXISTS (SELECT FROM ${denials} WHERE kind = 'feed' AND expires_at > ${clock})`
  const later = 'ON CONFLICT (kind, id) DO UPDATE SET expires_at = greatest(denial.expires_at, excluded.expires_at) RETURNING id, expires_at'
  // Denies the sessions in the expression `ended`. `server` is a parameter of the statement.
  const denyEnded = (server: string): string => `denied AS (
        INSERT INTO ${denials} AS denial (kind, id, expires_at) SELECT 'session', id, expires_at FROM ended WHERE ${replicated} ${later}
      ),
      ${notify("'session'", 'denied', `${server}::text`, channel)}`
  const denied = `EXISTS (SELECT FROM ${denials} WHERE kind = 'token' AND id = $1) OR EXISTS (SELECT FROM ${denials} WHERE kind = 'session' AND id = $2)`
  return {
    deny: `WITH written AS (INSERT INTO ${denials} AS denial (kind, id, expires_at) VALUES ($1, $2, $3) ${later}),
      denied AS (SELECT * FROM written WHERE ${replicated}),
      ${notify('$1', 'denied', '$4::text', channel)}
      SELECT count(*) FROM told`,
    isDenied: `SELECT (${denied})::int AS denied`,
    useOnce: `INSERT INTO ${usedIds} (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING 1 AS one`,
    checkToken: `SELECT (${denied})::int AS denied, version, generation, used, stale_before
      FROM (SELECT) AS one LEFT JOIN ${sessions} ON id = $3 AND expires_at > $4`,
    // $14: the limit, or NULL. $15: whether the oldest sessions end for it. $16: our time. $17: how often all sessions had been ended
    // when the login began, if an earlier attempt has read it. A limit is applied only if no other login came in between.
    create: `WITH before AS (SELECT logins, ends FROM ${owners} WHERE owner = $2),
      counted AS (
        INSERT INTO ${owners} AS one (owner, logins, ends, touched_at)
        VALUES ($2, coalesce((SELECT logins FROM before), 0) + 1, coalesce((SELECT ends FROM before), 0), ${clock})
        ON CONFLICT (owner) DO UPDATE SET logins = one.logins + 1, touched_at = ${clock}
        RETURNING logins, ends
      ),
      begun AS (SELECT coalesce($17::bigint, (SELECT ends FROM before), 0) AS ends),
      turn AS (
        SELECT counted.ends = begun.ends AS unended, begun.ends,
          $14::bigint IS NULL OR logins = coalesce((SELECT logins FROM before), 0) + 1 AS alone
        FROM counted, begun
      ),
      live AS (SELECT id, created_at FROM ${sessions} WHERE owner = $2 AND expires_at > $16::bigint AND $14::bigint IS NOT NULL),
      room AS (SELECT count(*) - $14::bigint + 1 AS surplus FROM live),
      ended AS (
        DELETE FROM ${sessions} WHERE $15::boolean AND (SELECT unended AND alone FROM turn) AND id IN
          (SELECT id FROM live ORDER BY created_at, id LIMIT greatest(0, (SELECT surplus FROM room)))
        RETURNING id, expires_at
      ),
      ${denyEnded('$18')},
      created AS (
        INSERT INTO ${sessions} (id, owner, identity, version, generation, used, stale_before, token_id, previous_token_id, rotated_at, created_at, expires_at, document)
        SELECT $1, $2, $3, $4::bigint, $5::bigint, $6::smallint, $7::bigint, $8, $9, $10::bigint, $11::bigint, $12::bigint, $13 FROM turn
        WHERE unended AND alone AND ($14::bigint IS NULL OR $15::boolean OR (SELECT surplus FROM room) <= 0)
        RETURNING id
      )
      SELECT (SELECT count(*) FROM created)::int AS created, (SELECT count(*) FROM told) AS told, (unended AND NOT alone)::int AS overtaken, ends,
        array_to_json(ARRAY(SELECT id FROM ended))::text AS ended FROM turn`,
    find: `SELECT *, ${clock} AS now FROM ${sessions} WHERE id = $1 AND expires_at > $2`,
    state: `SELECT version, generation, used, stale_before FROM ${sessions} WHERE id = $1 AND expires_at > $2`,
    // The time is read after the row is locked. If the statement has waited past its deadline ($12), it changes nothing.
    replace: `WITH held AS MATERIALIZED (SELECT id FROM ${sessions} WHERE id = $1 AND version = $2 AND expires_at > $3 FOR UPDATE),
      timed AS MATERIALIZED (SELECT id, ${clock} AS time FROM held),
      changed AS (UPDATE ${sessions} AS session SET version = version + 1, generation = coalesce($4::bigint, generation), used = coalesce($5::smallint, used),
        stale_before = coalesce($6::bigint, stale_before), token_id = coalesce($7, token_id), previous_token_id = coalesce($8, previous_token_id),
        rotated_at = CASE WHEN $9::boolean THEN time ELSE rotated_at END, expires_at = coalesce($10::bigint, expires_at), document = coalesce($11, document)
      FROM timed WHERE session.id = timed.id AND time <= $12::bigint RETURNING version, session.id, stale_before, expires_at),
      denied AS (
        INSERT INTO ${denials} (kind, id, expires_at) SELECT 'stale', stale_before || ':' || id, expires_at FROM changed
        WHERE $6::bigint > 0 AND ${replicated} ON CONFLICT DO NOTHING RETURNING id, expires_at
      ),
      ${notify("'stale'", 'denied', "''", channel)}
      SELECT version, (SELECT count(*) FROM told) AS told FROM changed`,
    end: `WITH ended AS (DELETE FROM ${sessions} WHERE id = $1 RETURNING id, identity, expires_at),
      ${denyEnded('$2')}
      SELECT identity, expires_at, (SELECT count(*) FROM told) AS told FROM ended`,
    endAll: `WITH before AS (SELECT logins FROM ${owners} WHERE owner = $1),
      counted AS (
        INSERT INTO ${owners} AS one (owner, logins, ends, touched_at)
        VALUES ($1, coalesce((SELECT logins FROM before), 0), 1, ${clock})
        ON CONFLICT (owner) DO UPDATE SET ends = one.ends + 1, touched_at = ${clock}
        RETURNING logins
      ),
      ended AS (
        DELETE FROM ${sessions} WHERE id IN
          (SELECT id FROM ${sessions} WHERE owner = $1 AND id IS DISTINCT FROM $2 ORDER BY created_at, id LIMIT $3)
        RETURNING id, expires_at
      ),
      ${denyEnded('$4')}
      SELECT (SELECT count(*) FROM told) AS told, (logins <> coalesce((SELECT logins FROM before), 0))::int AS overtaken, array_to_json(ARRAY(SELECT id FROM ended))::text AS ended FROM counted`,
    list: `SELECT * FROM ${sessions} WHERE owner = $1 AND (created_at, id) < ($2, $3) AND expires_at > $4
      ORDER BY created_at DESC, id DESC LIMIT $5`,
    // $1: the channel of the requesting server. $2: the name of the mark.
    mark: `WITH time AS MATERIALIZED (SELECT ${clock} AS now),
      known AS (SELECT max(id::bigint) AS born FROM ${denials}, time WHERE kind = 'feed' AND expires_at > now),
      made AS (
        INSERT INTO ${denials} (kind, id, expires_at) SELECT 'feed', now::text, now + ${feedLife} FROM time, known WHERE born IS NULL
        ON CONFLICT DO NOTHING
      ),
      renewed AS (
        UPDATE ${denials} SET expires_at = now + ${feedLife} FROM time, known
        WHERE kind = 'feed' AND id = born::text AND expires_at < now + ${feedLife / 2}
      )
      SELECT pg_notify($1, json_build_array('mark', $2::text, coalesce(born, now))::text) FROM time, known`,
    // The next $4 rows after ($1, $2) that expire after $3.
    loadDenials: `SELECT kind, id, expires_at FROM ${denials}
      WHERE (kind, id) > ($1, $2) AND kind <> 'feed' AND expires_at > $3 ORDER BY kind, id LIMIT $4`,
    forgetDenials: forget(denials, 'expires_at < $1'),
    forgetUsedIds: forget(usedIds, 'expires_at < $1'),
    forgetSessions: forget(sessions, 'expires_at < $1'),
    forgetOwners: forget(owners, `touched_at < $1 AND NOT EXISTS (SELECT FROM ${sessions} WHERE ${sessions}.owner = ${owners}.owner)`)
  }
}

/** Deletes some rows, on one server at a time: the others do not get the advisory lock. */
function forget (table: string, expired: string): string {
  return `WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext($2)) AS mine)
    DELETE FROM ${table} WHERE (SELECT mine FROM turn) AND ctid = ANY(ARRAY(
      SELECT ctid FROM ${table} WHERE ${expired} LIMIT $3 FOR UPDATE SKIP LOCKED
    )) RETURNING 1 AS one`
}
