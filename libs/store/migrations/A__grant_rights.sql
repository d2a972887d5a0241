-- Run each time, after everything else: who may do what, from nothing. A database that was restored without rights, or with those of another server,
-- has the right ones afterwards. What is in no list here is executed by nobody but the other functions.
DO $$
DECLARE
  c_worker CONSTANT text[] := ARRAY[
    'check_submission', 'claim_unit', 'describe_run', 'fail_unit', 'heartbeat', 'join_run', 'leave_run', 'open_weights', 'release_unit',
    'report_gateway', 'schema_state', 'stage_gradient', 'submit_gradient'];
  c_coordinator CONSTANT text[] := ARRAY[
    'acquire_leadership', 'change_settings', 'clock_now', 'config_of', 'create_run', 'delete_run', 'end_excess_sessions', 'end_session',
    'save_best', 'reclaim_old_blobs', 'publish_round', 'reap_expired_leases', 'reclaim_blobs', 'reject_gradient', 'remove_worker',
    'resign_leadership', 'restore_run', 'restore_worker', 'schema_state', 'sessions_holding_locks', 'set_run_state', 'revoke_work'];
  -- Bytes are written by COPY.
  c_coordinator_writes CONSTANT text[] := ARRAY['adam_blob', 'best_blob', 'weights_blob'];
  v_missing text;
  v_routine record;
  v_table record;
  v_role record;
BEGIN
  SELECT string_agg(n, ', ') INTO v_missing FROM unnest(c_worker || c_coordinator) AS n
   WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = 'gannet'::regnamespace AND p.proname = n);
  IF v_missing IS NOT NULL THEN
    RAISE EXCEPTION 'rights are granted on functions that do not exist: %', v_missing USING ERRCODE = 'GN013';
  END IF;

  -- Whoever migrates once as a superuser, where the schema is another's, leaves nothing of his own behind: functions that workers call act with the
  -- rights of their owner.
  IF (SELECT n.nspowner <> r.oid AND pg_has_role(n.nspowner, 'MEMBER') FROM pg_namespace n, pg_roles r
       WHERE n.nspname = 'gannet' AND r.rolname = current_user) THEN
    FOR v_routine IN
      SELECT p.oid::regprocedure AS signature, n.nspowner::regrole AS owner FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
       WHERE n.nspname = 'gannet' AND p.proowner <> n.nspowner
    LOOP
      EXECUTE format('ALTER ROUTINE %s OWNER TO %s', v_routine.signature, v_routine.owner);
    END LOOP;
    FOR v_table IN
      SELECT c.relname AS name, n.nspowner::regrole AS owner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = 'gannet' AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relowner <> n.nspowner
    LOOP
      EXECUTE format('ALTER TABLE gannet.%I OWNER TO %s', v_table.name, v_table.owner);
    END LOOP;
  END IF;

  FOR v_routine IN
    SELECT p.oid::regprocedure AS signature, p.proname AS name FROM pg_proc p WHERE p.pronamespace = 'gannet'::regnamespace
  LOOP
    EXECUTE format('REVOKE ALL ON ROUTINE %s FROM PUBLIC, gannet_worker, gannet_coordinator', v_routine.signature);
    IF v_routine.name = ANY (c_worker) THEN
      EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO gannet_worker', v_routine.signature);
    END IF;
    IF v_routine.name = ANY (c_coordinator) THEN
      EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO gannet_coordinator', v_routine.signature);
    END IF;
  END LOOP;

  -- Partitions are reached through their table.
  FOR v_table IN
    SELECT c.relname AS name, c.relkind AS kind FROM pg_class c
     WHERE c.relnamespace = 'gannet'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S') AND NOT c.relispartition
  LOOP
    EXECUTE format('REVOKE ALL ON %s gannet.%I FROM PUBLIC, gannet_worker, gannet_coordinator',
                   CASE v_table.kind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, v_table.name);
    IF v_table.kind <> 'S' THEN
      EXECUTE format('GRANT SELECT ON TABLE gannet.%I TO gannet_coordinator', v_table.name);
    END IF;
    IF v_table.name = ANY (c_coordinator_writes) THEN
      EXECUTE format('GRANT INSERT ON TABLE gannet.%I TO gannet_coordinator', v_table.name);
    END IF;
  END LOOP;
  REVOKE ALL ON SCHEMA gannet FROM PUBLIC, gannet_worker, gannet_coordinator;
  GRANT USAGE ON SCHEMA gannet TO gannet_worker, gannet_coordinator;

  -- What everybody may do in a new database, and a worker has no use for: temporary tables, which fill the disk, ...
  IF (SELECT pg_has_role(d.datdba, 'USAGE') FROM pg_database d WHERE d.datname = current_database()) THEN
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
  END IF;
  IF (SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_namespace n WHERE n.nspname = 'public') THEN
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
  END IF;
  -- ... large objects, which do so permanently, and advisory locks, of which one session can take so many that no other gets any lock. These belong to
  -- the superuser.
  IF (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
    FOR v_routine IN
      SELECT p.oid::regprocedure AS signature FROM pg_proc p
       WHERE p.pronamespace = 'pg_catalog'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')
         AND (p.proname LIKE 'pg\_advisory\_%' OR p.proname LIKE 'pg\_try\_advisory\_%' OR p.proname LIKE 'lo\_%'
              OR p.proname IN ('lowrite', 'loread'))
    LOOP
      EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', v_routine.signature);
    END LOOP;
    -- end_session and end_excess_sessions act with the rights of their owner.
    FOR v_role IN
      SELECT DISTINCT r.rolname AS name FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
       WHERE p.pronamespace = 'gannet'::regnamespace AND p.proname IN ('end_session', 'end_excess_sessions') AND NOT r.rolsuper
    LOOP
      EXECUTE format('GRANT pg_signal_backend, pg_read_all_stats TO %I', v_role.name);
    END LOOP;
  END IF;

  -- No role of workers takes every connection. One that has a limit keeps it.
  FOR v_role IN
    SELECT r.rolname AS name FROM pg_roles r
     WHERE r.rolcanlogin AND r.rolconnlimit = -1 AND gannet.is_worker_role(r.oid)
  LOOP
    BEGIN
      EXECUTE format('ALTER ROLE %I CONNECTION LIMIT %s', v_role.name, gannet.connections_of_a_role());
    EXCEPTION
      WHEN insufficient_privilege THEN NULL;  -- end_excess_sessions holds it all the same
    END;
  END LOOP;
END
$$;
