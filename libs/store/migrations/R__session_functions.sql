-- What a coordinator does about sessions of workers in direct mode. A worker's role can lift every timeout of its own session, and whatever a function
-- has locked for it stays locked until its transaction ends; so somebody else has to end it (libs/store/session_guard.h).

-- A role that is a worker's and nothing more. Of a superuser everything is true.
CREATE FUNCTION gannet.is_worker_role(p_role oid)
RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT pg_has_role(p_role, 'gannet_worker', 'MEMBER') AND NOT pg_has_role(p_role, 'gannet_coordinator', 'MEMBER')
         AND p_role <> (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'gannet')
$$;

-- So many connections has a role of workers that has no limit of its own: half of all.
CREATE FUNCTION gannet.connections_of_a_role()
RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT greatest(1, current_setting('max_connections')::integer / 2) $$;

-- Whether a session holds a lock on a table whose rows others need: on those of a row lock it has one, too, until its transaction ends.
CREATE FUNCTION gannet.holds_needed_rows(p_pid integer)
RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (
    SELECT FROM pg_locks l
     WHERE l.pid = p_pid AND l.locktype = 'relation' AND l.granted AND l.mode <> 'AccessShareLock'
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND l.relation IN ('gannet.accept_turn'::regclass, 'gannet.run'::regclass, 'gannet.work_unit'::regclass, 'gannet.worker'::regclass))
$$;

-- Transactions of workers that hold what others may need. One that waits itself is left out while it waits for somebody who goes on, or is ended, for
-- reasons of his own: a session that is no worker's, or one that holds what others need. Whoever waits for another worker's rows beside those
-- (a gradient that is being sent under the same attempt) may wait for ever, and is none of them.
-- A gradient that is being sent is none of them either: its bytes go into a table where nobody else needs its rows. But that table is to be emptied
-- once its round is over: whoever still sends then, or when the run has ended, sends what is discarded.
CREATE FUNCTION gannet.sessions_holding_locks()
RETURNS TABLE (pid integer, transaction text, role_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT DISTINCT l.pid, l.virtualtransaction, a.usename::text
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
   WHERE l.locktype = 'relation' AND l.granted AND l.mode <> 'AccessShareLock'
     AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
     AND l.relation IN ('gannet.accept_turn'::regclass, 'gannet.run'::regclass, 'gannet.work_unit'::regclass, 'gannet.worker'::regclass)
     AND gannet.is_worker_role(a.usesysid)
     -- A prepared transaction has the number 0.
     AND NOT EXISTS (SELECT FROM unnest(pg_blocking_pids(l.pid)) AS b(pid)
                      WHERE b.pid = 0 OR gannet.holds_needed_rows(b.pid)
                         OR EXISTS (SELECT FROM pg_stat_activity o WHERE o.pid = b.pid AND NOT gannet.is_worker_role(o.usesysid)))
  UNION
  SELECT l.pid, l.virtualtransaction, a.usename::text
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
         JOIN pg_class c ON c.oid = l.relation AND c.relnamespace = 'gannet'::regnamespace
         JOIN gannet.run r ON r.run_id = substring(c.relname FROM '^gradient_blob_([0-9]+)_[0-9]+$')::bigint
   WHERE l.locktype = 'relation' AND l.granted AND l.mode <> 'AccessShareLock'
     AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
     AND gannet.is_worker_role(a.usesysid)
     AND (r.state NOT IN ('running', 'paused') OR substring(c.relname FROM '[0-9]+$')::bigint <> (r.weights_version + 1) % ${kBlobRing})
$$;

-- Ends the session when it is still in that transaction; whether it was.
CREATE FUNCTION gannet.end_session(p_pid integer, p_transaction text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM gannet.sessions_holding_locks() s WHERE s.pid = p_pid AND s.transaction = p_transaction) THEN
    RETURN false;
  END IF;
  RETURN pg_terminate_backend(p_pid);
EXCEPTION
  WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'sessions of workers cannot be ended: let an administrator run GRANT pg_signal_backend TO %', current_user
      USING ERRCODE = 'GN007';
END
$$;

-- Ends the newest sessions of each role of workers beyond its limit, and says how many.
CREATE FUNCTION gannet.end_excess_sessions()
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_count integer;
BEGIN
  SELECT count(*) FILTER (WHERE pg_terminate_backend(s.pid)) INTO v_count
    FROM (SELECT a.pid, r.rolconnlimit AS own_limit,
                 row_number() OVER (PARTITION BY a.usesysid ORDER BY a.backend_start NULLS LAST, a.pid) AS place
            FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid
           WHERE gannet.is_worker_role(a.usesysid)) s
   WHERE s.place > CASE WHEN s.own_limit >= 0 THEN s.own_limit ELSE gannet.connections_of_a_role() END;
  RETURN v_count;
EXCEPTION
  WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'sessions of workers cannot be ended: let an administrator run GRANT pg_signal_backend TO %', current_user
      USING ERRCODE = 'GN007';
END
$$;
