-- A database of schema version 12, with the functions it had when the first version was about to be released, and a run in it: round 2 is open, one
-- worker holds a unit under its second attempt, another has been removed, weights are kept as the best, and a change of settings waits for round 3.
-- libs/store/pg_upgrade_test.cc migrates it and goes on with the run. Made by pg_dump --inserts --schema=gannet --no-owner --no-privileges, without
-- its comments; never edited: the databases of this version that are out there are not edited either.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA gannet;

CREATE TYPE gannet.run_state AS ENUM (
    'running',
    'paused',
    'finished',
    'stopped'
);

CREATE TYPE gannet.unit_state AS ENUM (
    'ready',
    'leased',
    'done',
    'failed',
    'closed'
);

CREATE FUNCTION gannet.acquire_leadership(p_run bigint, p_leader text, p_ttl_us bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_now timestamptz := gannet.clock_now();
  v_epoch bigint;
BEGIN
  PERFORM gannet.require_run(p_run);
  UPDATE gannet.run r
     SET leader_epoch = r.leader_epoch + (CASE WHEN r.leader_id = p_leader THEN 0 ELSE 1 END),
         leader_id = p_leader, leader_until = v_now + p_ttl_us * interval '1 microsecond'
   WHERE r.run_id = p_run AND (r.leader_id IS NULL OR r.leader_id = p_leader OR r.leader_until <= v_now)
  RETURNING r.leader_epoch INTO v_epoch;
  IF v_epoch IS NULL THEN
    RAISE EXCEPTION 'another coordinator leads this run, wait: its time runs out at %',
      (SELECT r.leader_until FROM gannet.run r WHERE r.run_id = p_run) USING ERRCODE = 'GN009';
  END IF;
  RETURN v_epoch;
END
$$;

CREATE FUNCTION gannet.add_units(p_run bigint, p_round bigint, p_slots integer[], p_image_counts integer[], p_indices bigint[]) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  INSERT INTO gannet.work_unit (run_id, round, slot, image_count, image_indices)
  SELECT p_run, p_round, u.slot, u.image_count, p_indices[u.last - u.image_count + 1 : u.last]
    FROM (SELECT t.slot, t.image_count, t.position, sum(t.image_count) OVER (ORDER BY t.position) AS last
            FROM unnest(p_slots, p_image_counts) WITH ORDINALITY AS t(slot, image_count, position)) u
   ORDER BY u.position
$$;

CREATE FUNCTION gannet.announce_failure(p_run bigint, p_unit bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_unit gannet.work_unit;
BEGIN
  SELECT * INTO v_unit FROM gannet.work_unit u WHERE u.unit_id = p_unit;
  IF v_unit.state = 'failed' THEN
    UPDATE gannet.run r
       SET state = 'paused',
           state_reason = left(format('round %s slot %s failed %s times, last%s: %s', v_unit.round, v_unit.slot, v_unit.failures,
                                      ' by worker ' || v_unit.holder, v_unit.failure_reason), 500)
     WHERE r.run_id = p_run AND r.state = 'running';
    PERFORM pg_notify('gannet_round', p_run::text);
  END IF;
  PERFORM pg_notify('gannet_work', p_run::text);
END
$$;

CREATE FUNCTION gannet.change_settings(p_run bigint, p_round bigint, p_config text, p_lease_us bigint, p_spare_after double precision, p_reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_run gannet.run;
BEGIN
  SELECT * INTO v_run FROM gannet.run r WHERE r.run_id = p_run FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such run: %', p_run USING ERRCODE = 'GN005';
  END IF;
  IF v_run.state NOT IN ('running', 'paused') THEN
    RAISE EXCEPTION 'the run has ended, nothing can change: %', v_run.state USING ERRCODE = 'GN009';
  END IF;
  IF v_run.weights_version + 2 <> p_round THEN
    RAISE EXCEPTION 'a round was published meanwhile, repeat' USING ERRCODE = 'GN010';
  END IF;
  INSERT INTO gannet.run_change AS c (run_id, from_round, config, reason, changed_at)
  VALUES (p_run, p_round, p_config::jsonb, p_reason, gannet.clock_now())
  ON CONFLICT (run_id, from_round) DO UPDATE
     SET config = excluded.config, changed_at = excluded.changed_at,
         reason = left(concat_ws('; ', nullif(c.reason, ''), nullif(excluded.reason, '')), 500);  -- JoinReasons
  UPDATE gannet.run r
     SET lease = p_lease_us * interval '1 microsecond', spare_after = p_spare_after,
         -- Never the same again, also when the database goes back: see V0007__ids_that_never_come_again.sql.
         settings_version = ((r.settings_version >> 24) + 1 << 24) | floor(random() * (1 << 24))::bigint
   WHERE r.run_id = p_run;
  PERFORM pg_notify('gannet_round', p_run::text);
END
$$;

CREATE FUNCTION gannet.check_submission(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer, p_image_count integer, p_micro_batch_count integer, p_sha256 bytea) RETURNS smallint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  RETURN gannet.classify_submission(p_worker, p_run, p_unit, p_attempt, p_image_count, p_micro_batch_count, p_sha256);
END
$$;

CREATE FUNCTION gannet.claim_unit(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_request text) RETURNS TABLE(run_state text, unit_id bigint, attempt integer, round bigint, slot integer, image_indices bigint[], micro_batch integer, seed numeric, lease_us bigint, weights_sha256 bytea)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_column
DECLARE
  v_now timestamptz := gannet.clock_now();
  v_state gannet.run_state;
  v_lease interval;
  v_spare_limit interval;
  v_slow bigint;
  v_patience interval;
  v_micro_batch integer;
  v_seed numeric;
  v_leases integer;
  v_unit gannet.work_unit;
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  IF (p_request ~ '^[0-9a-f]{32}$') IS NOT TRUE THEN
    RAISE EXCEPTION 'request_id must be 32 hexadecimal digits' USING ERRCODE = 'GN003';
  END IF;
  -- While the usual time is not known, in the first round, the limit is that of a stalled unit (SpareAfter): progress is what a worker says.
  SELECT r.state, gannet.unit_lease(r.lease, r.usual_unit_us),
         coalesce(gannet.spare_limit(r.spare_after, r.usual_unit_us),
                  CASE WHEN r.spare_after > 0 AND r.usual_unit_us <= 0 THEN 3 * r.lease END),
         r.micro_batch, r.seed, 3 * r.lease /* StallLimit */
    INTO v_state, v_lease, v_spare_limit, v_micro_batch, v_seed, v_patience
    FROM gannet.run r WHERE r.run_id = p_run;
  run_state := v_state::text;
  SELECT count(*) INTO v_leases FROM gannet.work_unit u
   WHERE u.run_id = p_run AND u.holder = p_worker AND u.state = 'leased';
  -- The usual look of a long poll: nothing held, nothing ready. It writes nothing.
  IF v_leases = 0 AND (v_state <> 'running' OR NOT EXISTS (
       SELECT FROM gannet.work_unit u WHERE u.run_id = p_run AND u.state = 'ready' AND u.ready_at <= v_now
          AND (u.failed_by = '{}' OR gannet.may_claim(p_run, p_worker, u.failed_by, u.ready_at, v_now, v_patience)))
       AND (v_spare_limit IS NULL OR gannet.slow_unit(p_run, p_worker, v_now, v_spare_limit) IS NULL)) THEN
    RETURN NEXT;
    RETURN;
  END IF;

  -- One claim of a worker at a time, and none of an incarnation that has just been taken over.
  PERFORM FROM gannet.worker w WHERE w.run_id = p_run AND w.worker_id = p_worker FOR NO KEY UPDATE;
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  SELECT * INTO v_unit FROM gannet.work_unit u
   WHERE u.run_id = p_run AND u.holder = p_worker AND u.state = 'leased' AND u.claim_request = p_request;
  IF NOT FOUND THEN
    SELECT count(*) INTO v_leases FROM gannet.work_unit u
     WHERE u.run_id = p_run AND u.holder = p_worker AND u.state = 'leased';
    IF v_leases >= 2 THEN  -- kMaxLeasesPerWorker
      RAISE EXCEPTION 'the worker holds all the units it may, submit or release one: %', v_leases USING ERRCODE = 'GN008';
    END IF;
    IF v_state = 'running' THEN
      WITH next AS MATERIALIZED (
        SELECT u.unit_id FROM gannet.work_unit u
         WHERE u.run_id = p_run AND u.state = 'ready' AND u.ready_at <= v_now
           AND (u.failed_by = '{}' OR gannet.may_claim(p_run, p_worker, u.failed_by, u.ready_at, v_now, v_patience))
         ORDER BY u.round, u.slot LIMIT 1 FOR UPDATE SKIP LOCKED)
      UPDATE gannet.work_unit u
         SET state = 'leased', attempt = u.attempt + 1, holder = p_worker, claim_request = p_request,
             claimed_at = v_now, lease_until = v_now + v_lease, progress_at = v_now, micro_batches_done = 0
        FROM next WHERE u.unit_id = next.unit_id
      RETURNING u.* INTO v_unit;
      IF FOUND THEN
        IF v_unit.attempt > 1 THEN
          -- What an earlier holder has staged and not handed in. The plan knows the round, so it touches one leaf only.
          EXECUTE format('DELETE FROM gannet.gradient_blob b WHERE b.run_id = %s AND b.round %% 8 = %s AND b.unit_id = %s AND b.attempt < %s',
                         p_run, v_unit.round % 8, v_unit.unit_id, v_unit.attempt);
        END IF;
        -- Does not wait for the disk: it would cost as much as the accept, and a crash of the database that forgets it leaves a unit that is
        -- ready and a worker whose gradient is superseded (rule 4 of ClassifySubmit), which is what a lost worker leaves, too. A spare, which
        -- is a new row, waits.
        PERFORM set_config('synchronous_commit', 'off', true);
      ELSIF v_spare_limit IS NOT NULL THEN
        -- A round that is being published gets no spares: the publication would not see, and not close, this one.
        PERFORM FROM gannet.run r WHERE r.run_id = p_run FOR SHARE SKIP LOCKED;
        IF FOUND THEN
          v_slow := gannet.slow_unit(p_run, p_worker, v_now, v_spare_limit);
        END IF;
        -- Whoever locks the slow unit first makes its spare; the next one, who looks once he has the lock, sees it.
        PERFORM FROM gannet.work_unit u WHERE u.unit_id = v_slow FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND AND gannet.slow_unit(p_run, p_worker, v_now, v_spare_limit) = v_slow THEN
          INSERT INTO gannet.work_unit AS u (
              run_id, round, slot, image_count, image_indices, state, attempt, holder, claim_request, claimed_at, lease_until,
              progress_at, is_spare)
          SELECT s.run_id, s.round, s.slot, s.image_count, s.image_indices, 'leased', 1, p_worker, p_request, v_now,
                 v_now + v_lease, v_now, true
            FROM gannet.work_unit s WHERE s.unit_id = v_slow
          RETURNING u.* INTO v_unit;
        END IF;
      END IF;
    END IF;
  END IF;
  IF v_unit.unit_id IS NOT NULL THEN
    unit_id := v_unit.unit_id;
    attempt := v_unit.attempt;
    -- As they were when it was claimed: noise depends on them.
    round := v_unit.round - v_unit.stale_rounds;
    slot := coalesce(v_unit.claimed_slot, v_unit.slot);
    image_indices := v_unit.image_indices;
    micro_batch := v_micro_batch;
    seed := v_seed;
    lease_us := greatest(0, (extract(epoch FROM v_unit.lease_until - v_now) * 1000000)::bigint);
    SELECT w.sha256 INTO weights_sha256 FROM gannet.weights w WHERE w.run_id = p_run AND w.version = round - 1;
  END IF;
  RETURN NEXT;
END
$_$;

CREATE FUNCTION gannet.classify_submission(p_worker text, p_run bigint, p_unit bigint, p_attempt integer, p_image_count integer, p_micro_batch_count integer, p_sha256 bytea) RETURNS smallint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_unit gannet.work_unit;
  v_gradient gannet.gradient;
  v_micro_batches integer;
  v_outcome smallint := 0;
BEGIN
  SELECT * INTO v_unit FROM gannet.work_unit u WHERE u.unit_id = p_unit AND u.run_id = p_run;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such unit: %', p_unit USING ERRCODE = 'GN005';
  END IF;
  IF p_image_count IS DISTINCT FROM v_unit.image_count THEN
    RAISE EXCEPTION 'stats.image_count is not the unit''s: expected %, got %', v_unit.image_count, p_image_count
      USING ERRCODE = 'GN003';
  END IF;
  SELECT greatest(1, v_unit.image_count / r.micro_batch) INTO v_micro_batches FROM gannet.run r WHERE r.run_id = p_run;
  IF p_micro_batch_count IS DISTINCT FROM v_micro_batches THEN
    RAISE EXCEPTION 'stats.micro_batch_count is not the unit''s: expected %, got %', v_micro_batches, p_micro_batch_count
      USING ERRCODE = 'GN003';
  END IF;
  IF (p_attempt >= 1) IS NOT TRUE THEN
    RAISE EXCEPTION 'attempt must be at least 1: got %', p_attempt USING ERRCODE = 'GN003';
  END IF;
  SELECT * INTO v_gradient FROM gannet.gradient g WHERE g.unit_id = p_unit;
  IF FOUND AND v_gradient.attempt = p_attempt AND v_unit.holder = p_worker THEN
    IF v_gradient.sha256 IS DISTINCT FROM p_sha256 THEN
      RAISE EXCEPTION 'the same attempt was accepted with other bytes: attempt %', p_attempt USING ERRCODE = 'GN006';
    END IF;
    v_outcome := 3;  -- already accepted
  ELSIF p_attempt = v_unit.attempt AND v_unit.holder = p_worker
        AND EXISTS (SELECT FROM gannet.gradient g WHERE g.run_id = p_run AND g.round = v_unit.round AND g.slot = v_unit.slot
                       AND g.unit_id <> p_unit) THEN
    v_outcome := 6;  -- duplicate
  ELSIF v_unit.state IN ('closed', 'failed') THEN
    v_outcome := 5;  -- closed
  ELSIF p_attempt <> v_unit.attempt OR v_unit.state = 'done' OR v_unit.holder IS DISTINCT FROM p_worker THEN
    v_outcome := 4;  -- superseded
  END IF;
  -- The ledger is of leases: an attempt that is unknown, or another's, has none, and whoever asks about such ones shall not fill it. A lease that is no
  -- more has the row of its end, in one of the rounds that its unit has been in.
  IF v_outcome = 0 OR (p_attempt = v_unit.attempt AND v_unit.holder = p_worker) IS NOT TRUE AND NOT EXISTS (
       SELECT FROM gannet.ledger l
        WHERE l.run_id = p_run AND l.round BETWEEN v_unit.round - v_unit.stale_rounds AND v_unit.round AND l.unit_id = p_unit
          AND l.attempt = p_attempt AND l.worker_id = p_worker AND l.outcome BETWEEN 101 AND 105) THEN
    RETURN v_outcome;
  END IF;
  -- Nor does whoever asks again: of two that ask at once the second sees the first one's row.
  IF NOT gannet.is_noted(p_run, v_unit.round, p_unit, p_attempt, p_worker, v_outcome) THEN
    PERFORM FROM gannet.work_unit u WHERE u.unit_id = p_unit FOR NO KEY UPDATE;
    IF NOT gannet.is_noted(p_run, v_unit.round, p_unit, p_attempt, p_worker, v_outcome) THEN
      INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
      VALUES (p_run, v_unit.round, p_unit, p_attempt, p_worker, v_outcome, gannet.clock_now());
    END IF;
  END IF;
  IF v_outcome IN (4, 5, 6) THEN
    UPDATE gannet.work_unit u SET wasted_attempt = p_attempt
     WHERE u.unit_id = p_unit AND u.wasted_attempt < p_attempt;
    IF FOUND THEN
      UPDATE gannet.worker w
         SET wasted_image_count = w.wasted_image_count + v_unit.image_count,
             duplicate_unit_count = w.duplicate_unit_count + (CASE WHEN v_outcome = 6 THEN 1 ELSE 0 END)
       WHERE w.run_id = p_run AND w.worker_id = p_worker;
    END IF;
  END IF;
  RETURN v_outcome;
END
$$;

CREATE FUNCTION gannet.clock_now() RETURNS timestamp with time zone
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$SELECT clock_timestamp()$$;

CREATE FUNCTION gannet.config_of(p_run bigint, p_round bigint) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT coalesce(
    (SELECT c.config FROM gannet.run_change c WHERE c.run_id = p_run AND c.from_round <= p_round ORDER BY c.from_round DESC LIMIT 1),
    (SELECT r.config FROM gannet.run r WHERE r.run_id = p_run))
$$;

CREATE FUNCTION gannet.connections_of_a_role() RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT greatest(1, current_setting('max_connections')::integer / 2) $$;

CREATE FUNCTION gannet.create_blob_ring(p_parent text, p_run bigint, p_key text, p_leaves integer, p_unique text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_ring text := format('%s_%s', p_parent, p_run);
BEGIN
  EXECUTE format('CREATE TABLE gannet.%I (LIKE gannet.%I INCLUDING STORAGE) PARTITION BY LIST ((%I %% %s))',
                 v_ring, p_parent, p_key, p_leaves);
  FOR v_leaf IN 0 .. p_leaves - 1 LOOP
    -- A leaf only grows until it is truncated: there is nothing to vacuum, and a vacuum would be in the way.
    EXECUTE format('CREATE TABLE gannet.%I PARTITION OF gannet.%I FOR VALUES IN (%s) WITH (autovacuum_enabled = false)',
                   v_ring || '_' || v_leaf, v_ring, v_leaf);
    EXECUTE format('CREATE UNIQUE INDEX ON gannet.%I (%s)', v_ring || '_' || v_leaf, p_unique);
  END LOOP;
  EXECUTE format('ALTER TABLE gannet.%I ATTACH PARTITION gannet.%I FOR VALUES IN (%s)', p_parent, v_ring, p_run);
END
$$;

CREATE FUNCTION gannet.create_run(p_name text, p_config text, p_seed numeric, p_lease_us bigint, p_micro_batch integer, p_data_kind text, p_data_image_count bigint, p_data_digest text, p_weights_codec smallint, p_weights_sha256 bytea, p_weights_bytes bigint, p_adam_codec smallint, p_adam_sha256 bytea, p_adam_bytes bigint, p_slots integer[], p_image_counts integer[], p_indices bigint[], p_version bigint, p_history jsonb, p_gradient_bytes_max bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_run bigint;
BEGIN
  INSERT INTO gannet.run (
      name, config, seed, lease, micro_batch, data_kind, data_image_count, data_digest, weights_version, spare_after,
      gradient_codec, gradient_bytes_max)
  VALUES (p_name, p_config::jsonb, p_seed, p_lease_us * interval '1 microsecond', p_micro_batch, p_data_kind,
          p_data_image_count, p_data_digest, p_version, coalesce((p_config::jsonb->>'spare_after')::double precision, 0),
          coalesce((p_config::jsonb->>'gradient_codec')::smallint, 1), p_gradient_bytes_max)
  ON CONFLICT (name) DO NOTHING
  RETURNING run_id INTO v_run;
  IF v_run IS NULL THEN
    RAISE EXCEPTION 'the name of the run is taken: %', p_name USING ERRCODE = 'GN006';
  END IF;
  INSERT INTO gannet.accept_turn (run_id) VALUES (v_run);
  PERFORM gannet.create_blob_ring('gradient_blob', v_run, 'round', 8, 'unit_id, attempt, seq');
  PERFORM gannet.create_blob_ring('weights_blob', v_run, 'version', 8, 'version, seq');
  PERFORM gannet.create_blob_ring('adam_blob', v_run, 'version', 4, 'version, seq');
  INSERT INTO gannet.weights (run_id, version, codec, sha256, payload_bytes, keep)
  VALUES (v_run, p_version, p_weights_codec, p_weights_sha256, p_weights_bytes, false);
  INSERT INTO gannet.adam_state (run_id, version, codec, sha256, payload_bytes)
  VALUES (v_run, p_version, p_adam_codec, p_adam_sha256, p_adam_bytes);
  INSERT INTO gannet.round_summary (
      run_id, round, epoch, gradient_count, image_count, discriminator_loss, generator_loss, real_accuracy, fake_accuracy,
      seconds)
  SELECT v_run, (h->>0)::bigint, (h->>1)::bigint, (h->>2)::integer, (h->>3)::integer, (h->>4)::double precision,
         (h->>5)::double precision, (h->>6)::double precision, (h->>7)::double precision, (h->>8)::double precision
    FROM jsonb_array_elements(p_history) AS h;
  PERFORM gannet.add_units(v_run, p_version + 1, p_slots, p_image_counts, p_indices);
  PERFORM pg_notify('gannet_work', v_run::text);
  RETURN v_run;
END
$$;

CREATE FUNCTION gannet.delete_run(p_run bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
DECLARE
  v_run gannet.run;
  v_parent text;
BEGIN
  SELECT * INTO v_run FROM gannet.run r WHERE r.run_id = p_run FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such run: %', p_run USING ERRCODE = 'GN005';
  END IF;
  IF v_run.leader_id IS NOT NULL AND v_run.leader_until > gannet.clock_now() THEN
    RAISE EXCEPTION 'a coordinator leads this run, stop it first: its time runs out at %', v_run.leader_until USING ERRCODE = 'GN009';
  END IF;
  FOREACH v_parent IN ARRAY ARRAY['gradient_blob', 'weights_blob', 'adam_blob', 'best_blob'] LOOP
    EXECUTE format('DROP TABLE IF EXISTS gannet.%I', format('%s_%s', v_parent, p_run));
  END LOOP;
  DELETE FROM gannet.weights_kept_blob b WHERE b.run_id = p_run;
  DELETE FROM gannet.best_weights b WHERE b.run_id = p_run;
  DELETE FROM gannet.adam_state a WHERE a.run_id = p_run;
  DELETE FROM gannet.weights w WHERE w.run_id = p_run;
  DELETE FROM gannet.ledger s WHERE s.run_id = p_run;
  DELETE FROM gannet.gradient g WHERE g.run_id = p_run;
  DELETE FROM gannet.work_unit u WHERE u.run_id = p_run;
  DELETE FROM gannet.round_summary s WHERE s.run_id = p_run;
  DELETE FROM gannet.run_change c WHERE c.run_id = p_run;
  DELETE FROM gannet.worker w WHERE w.run_id = p_run;
  DELETE FROM gannet.run r WHERE r.run_id = p_run;
  PERFORM pg_notify('gannet_round', p_run::text);
  PERFORM pg_notify('gannet_work', p_run::text);
END
$$;

CREATE FUNCTION gannet.end_excess_sessions() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION gannet.end_session(p_pid integer, p_transaction text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

CREATE FUNCTION gannet.fail_unit(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer, p_reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_round bigint;
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  PERFORM gannet.require_text('reason', p_reason, 500);
  -- Only a failure that may pause the run holds it: whoever leaves his transaction open behind this call holds his own unit, and nothing else.
  IF EXISTS (SELECT FROM gannet.work_unit u
              WHERE u.unit_id = p_unit AND u.run_id = p_run AND u.attempt = p_attempt AND u.holder = p_worker AND u.state = 'leased'
                AND NOT u.is_spare AND gannet.state_after_failure(u.failures + 1) = 'failed') THEN
    PERFORM FROM gannet.run r WHERE r.run_id = p_run FOR NO KEY UPDATE;
  END IF;
  UPDATE gannet.work_unit u
     SET state = CASE WHEN u.is_spare THEN 'closed' ELSE gannet.state_after_failure(u.failures + 1) END, lease_until = NULL,
         failures = u.failures + 1, failure_reason = p_reason, failed_by = gannet.failed_also_by(u.failed_by, p_worker),
         ready_at = gannet.clock_now() + gannet.return_delay(u.attempt)
   WHERE u.unit_id = p_unit AND u.run_id = p_run AND u.attempt = p_attempt AND u.holder = p_worker AND u.state = 'leased'
  RETURNING u.round INTO v_round;
  IF FOUND THEN
    INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
    VALUES (p_run, v_round, p_unit, p_attempt, p_worker, 103 /* failed */, gannet.clock_now());
    PERFORM gannet.announce_failure(p_run, p_unit);
  END IF;
END
$$;

CREATE FUNCTION gannet.failed_also_by(p_failed_by text[], p_worker text) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (p_worker = ANY (p_failed_by)) THEN p_failed_by ELSE array_append(p_failed_by, p_worker) END;

CREATE FUNCTION gannet.free_blob_leaf(p_leaf text, p_key text, p_below bigint, p_newer text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_newer boolean;
BEGIN
  BEGIN
    EXECUTE format('LOCK TABLE gannet.%I IN ACCESS EXCLUSIVE MODE', p_leaf);
  EXCEPTION WHEN lock_not_available THEN
    EXECUTE format('DELETE FROM gannet.%I WHERE %I < %s', p_leaf, p_key, p_below);
    RETURN;
  END;
  EXECUTE format('SELECT EXISTS (%s)', p_newer) INTO v_newer;
  IF v_newer THEN
    EXECUTE format('DELETE FROM gannet.%I WHERE %I < %s', p_leaf, p_key, p_below);
  ELSE
    EXECUTE format('TRUNCATE gannet.%I', p_leaf);
  END IF;
END
$$;

CREATE FUNCTION gannet.heartbeat(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_units bigint[], p_attempts integer[], p_micro_batches_done integer[]) RETURNS TABLE(run_state text, dropped bigint[])
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := gannet.clock_now();
  v_lease interval;
  v_configured_lease interval;
  v_micro_batch integer;
  v_free integer;
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  PERFORM set_config('synchronous_commit', 'off', true);  -- as in claim_unit; the next beat renews what a crash forgot
  IF (cardinality(p_units) <= 64 AND cardinality(p_attempts) = cardinality(p_units)  -- kMaxHeldUnits
      AND cardinality(p_micro_batches_done) = cardinality(p_units)) IS NOT TRUE THEN
    RAISE EXCEPTION 'progress must be three lists of the same length, at most 64' USING ERRCODE = 'GN003';
  END IF;
  SELECT r.state::text, r.lease, gannet.unit_lease(r.lease, r.usual_unit_us), r.micro_batch
    INTO run_state, v_configured_lease, v_lease, v_micro_batch
    FROM gannet.run r WHERE r.run_id = p_run;
  SELECT 2 /* kMaxLeasesPerWorker */ - count(*) INTO v_free FROM gannet.work_unit u
   WHERE u.run_id = p_run AND u.holder = p_worker AND u.state = 'leased';
  WITH held AS (
    -- More than all of them cannot be done: whoever says so makes no progress.
    SELECT h.unit_id, h.attempt, least(h.done, greatest(1, u.image_count / v_micro_batch)) AS done
      FROM unnest(p_units, p_attempts, p_micro_batches_done) AS h(unit_id, attempt, done)
      LEFT JOIN gannet.work_unit u ON u.unit_id = h.unit_id AND u.run_id = p_run
  ), renewable AS MATERIALIZED (
    -- Also one whose lease has run out, and that nobody has claimed since.
    SELECT u.unit_id, u.state, h.done FROM gannet.work_unit u JOIN held h ON h.unit_id = u.unit_id
     WHERE u.run_id = p_run AND (u.state = 'leased' OR (u.state = 'ready' AND u.lease_until IS NOT NULL))
       AND u.holder = p_worker AND u.attempt = h.attempt
       AND (h.done > u.micro_batches_done OR v_now - u.progress_at <= 3 * v_configured_lease)
     ORDER BY u.unit_id FOR UPDATE OF u
  ), ranked AS (
    SELECT r.unit_id, r.done, r.state, row_number() OVER (PARTITION BY r.state ORDER BY r.unit_id) AS place FROM renewable r
  ), renewed AS (
    UPDATE gannet.work_unit u
       SET state = 'leased', lease_until = v_now + v_lease, micro_batches_done = greatest(u.micro_batches_done, r.done),
           progress_at = CASE WHEN r.done > u.micro_batches_done THEN v_now ELSE u.progress_at END
      FROM ranked r WHERE u.unit_id = r.unit_id AND (r.state = 'leased' OR r.place <= v_free)
    RETURNING u.unit_id
  )
  SELECT coalesce(array_agg(h.unit_id ORDER BY h.unit_id), '{}') INTO dropped
    FROM held h WHERE h.unit_id NOT IN (SELECT r.unit_id FROM renewed r);
  UPDATE gannet.worker w SET last_seen = v_now, signed_off = false WHERE w.run_id = p_run AND w.worker_id = p_worker;
  RETURN NEXT;
END
$$;

CREATE FUNCTION gannet.holds_needed_rows(p_pid integer) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT EXISTS (
    SELECT FROM pg_locks l
     WHERE l.pid = p_pid AND l.locktype = 'relation' AND l.granted AND l.mode <> 'AccessShareLock'
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND l.relation IN ('gannet.accept_turn'::regclass, 'gannet.run'::regclass, 'gannet.work_unit'::regclass, 'gannet.worker'::regclass))
$$;

CREATE FUNCTION gannet.is_noted(p_run bigint, p_round bigint, p_unit bigint, p_attempt integer, p_worker text, p_outcome smallint) RETURNS boolean
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT EXISTS (SELECT FROM gannet.ledger l
                  WHERE l.run_id = p_run AND l.round = p_round AND l.unit_id = p_unit AND l.attempt = p_attempt AND l.worker_id = p_worker
                    AND l.outcome = p_outcome)
$$;

CREATE FUNCTION gannet.is_plain_text(p_text text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN ((p_text !~ (((((('['::text || '\u0001-\u001F\u007F-\u009F\u00AD\u034F\u061C\u115F-\u1160\u17B4-\u17B5\u180E\u200B\u200E-\u200F\u2028-\u202E\u2060-\u206F\u2800'::text) || '\u3164\uE000-\uF8FF\uFDD0-\uFDEF\uFE00-\uFE0D\uFEFF\uFFA0\uFFF0-\uFFFB\uFFFE-\uFFFF\U00013430-\U0001343F\U0001BCA0-\U0001BCA3'::text) || '\U0001D173-\U0001D17A\U0001FFFE-\U0001FFFF\U0002FFFE-\U0002FFFF\U0003FFFE-\U0003FFFF\U0004FFFE-\U0004FFFF\U0005FFFE-\U0005FFFF'::text) || '\U0006FFFE-\U0006FFFF\U0007FFFE-\U0007FFFF\U0008FFFE-\U0008FFFF\U0009FFFE-\U0009FFFF\U000AFFFE-\U000AFFFF\U000BFFFE-\U000BFFFF'::text) || '\U000CFFFE-\U000CFFFF\U000DFFFE-\U000DFFFF\U000E0000-\U000E0FFF\U000EFFFE-\U000EFFFF\U000F0000-\U0010FFFF'::text) || ']'::text)) AND (p_text !~ (((((((((((((((((((((((((((((((((((('^['::text || '\u0300-\u036F\u0483-\u0489\u0591-\u05BD\u05BF\u05C1-\u05C2\u05C4-\u05C5\u05C7\u0610-\u061A\u064B-\u065F\u0670\u06D6-\u06DC'::text) || '\u06DF-\u06E4\u06E7-\u06E8\u06EA-\u06ED\u0711\u0730-\u074A\u07A6-\u07B0\u07EB-\u07F3\u07FD\u0816-\u0819\u081B-\u0823\u0825-\u0827'::text) || '\u0829-\u082D\u0859-\u085B\u0898-\u089F\u08CA-\u08E1\u08E3-\u0903\u093A-\u093C\u093E-\u094F\u0951-\u0957\u0962-\u0963\u0981-\u0983'::text) || '\u09BC\u09BE-\u09C4\u09C7-\u09C8\u09CB-\u09CD\u09D7\u09E2-\u09E3\u09FE\u0A01-\u0A03\u0A3C\u0A3E-\u0A42\u0A47-\u0A48\u0A4B-\u0A4D'::text) || '\u0A51\u0A70-\u0A71\u0A75\u0A81-\u0A83\u0ABC\u0ABE-\u0AC5\u0AC7-\u0AC9\u0ACB-\u0ACD\u0AE2-\u0AE3\u0AFA-\u0AFF\u0B01-\u0B03\u0B3C'::text) || '\u0B3E-\u0B44\u0B47-\u0B48\u0B4B-\u0B4D\u0B55-\u0B57\u0B62-\u0B63\u0B82\u0BBE-\u0BC2\u0BC6-\u0BC8\u0BCA-\u0BCD\u0BD7\u0C00-\u0C04'::text) || '\u0C3C\u0C3E-\u0C44\u0C46-\u0C48\u0C4A-\u0C4D\u0C55-\u0C56\u0C62-\u0C63\u0C81-\u0C83\u0CBC\u0CBE-\u0CC4\u0CC6-\u0CC8\u0CCA-\u0CCD'::text) || '\u0CD5-\u0CD6\u0CE2-\u0CE3\u0D00-\u0D03\u0D3B-\u0D3C\u0D3E-\u0D44\u0D46-\u0D48\u0D4A-\u0D4D\u0D57\u0D62-\u0D63\u0D81-\u0D83\u0DCA'::text) || '\u0DCF-\u0DD4\u0DD6\u0DD8-\u0DDF\u0DF2-\u0DF3\u0E31\u0E34-\u0E3A\u0E47-\u0E4E\u0EB1\u0EB4-\u0EBC\u0EC8-\u0ECD\u0F18-\u0F19\u0F35'::text) || '\u0F37\u0F39\u0F3E-\u0F3F\u0F71-\u0F84\u0F86-\u0F87\u0F8D-\u0F97\u0F99-\u0FBC\u0FC6\u102B-\u103E\u1056-\u1059\u105E-\u1060'::text) || '\u1062-\u1064\u1067-\u106D\u1071-\u1074\u1082-\u108D\u108F\u109A-\u109D\u135D-\u135F\u1712-\u1715\u1732-\u1734\u1752-\u1753'::text) || '\u1772-\u1773\u17B4-\u17D3\u17DD\u180B-\u180D\u180F\u1885-\u1886\u18A9\u1920-\u192B\u1930-\u193B\u1A17-\u1A1B\u1A55-\u1A5E'::text) || '\u1A60-\u1A7C\u1A7F\u1AB0-\u1ACE\u1B00-\u1B04\u1B34-\u1B44\u1B6B-\u1B73\u1B80-\u1B82\u1BA1-\u1BAD\u1BE6-\u1BF3\u1C24-\u1C37'::text) || '\u1CD0-\u1CD2\u1CD4-\u1CE8\u1CED\u1CF4\u1CF7-\u1CF9\u1DC0-\u1DFF\u20D0-\u20F0\u2CEF-\u2CF1\u2D7F\u2DE0-\u2DFF\u302A-\u302F'::text) || '\u3099-\u309A\uA66F-\uA672\uA674-\uA67D\uA69E-\uA69F\uA6F0-\uA6F1\uA802\uA806\uA80B\uA823-\uA827\uA82C\uA880-\uA881\uA8B4-\uA8C5'::text) || '\uA8E0-\uA8F1\uA8FF\uA926-\uA92D\uA947-\uA953\uA980-\uA983\uA9B3-\uA9C0\uA9E5\uAA29-\uAA36\uAA43\uAA4C-\uAA4D\uAA7B-\uAA7D\uAAB0'::text) || '\uAAB2-\uAAB4\uAAB7-\uAAB8\uAABE-\uAABF\uAAC1\uAAEB-\uAAEF\uAAF5-\uAAF6\uABE3-\uABEA\uABEC-\uABED\uFB1E\uFE00-\uFE0F\uFE20-\uFE2F'::text) || '\U000101FD\U000102E0\U00010376-\U0001037A\U00010A01-\U00010A03\U00010A05-\U00010A06\U00010A0C-\U00010A0F\U00010A38-\U00010A3A'::text) || '\U00010A3F\U00010AE5-\U00010AE6\U00010D24-\U00010D27\U00010EAB-\U00010EAC\U00010F46-\U00010F50\U00010F82-\U00010F85'::text) || '\U00011000-\U00011002\U00011038-\U00011046\U00011070\U00011073-\U00011074\U0001107F-\U00011082\U000110B0-\U000110BA\U000110C2'::text) || '\U00011100-\U00011102\U00011127-\U00011134\U00011145-\U00011146\U00011173\U00011180-\U00011182\U000111B3-\U000111C0'::text) || '\U000111C9-\U000111CC\U000111CE-\U000111CF\U0001122C-\U00011237\U0001123E\U000112DF-\U000112EA\U00011300-\U00011303'::text) || '\U0001133B-\U0001133C\U0001133E-\U00011344\U00011347-\U00011348\U0001134B-\U0001134D\U00011357\U00011362-\U00011363'::text) || '\U00011366-\U0001136C\U00011370-\U00011374\U00011435-\U00011446\U0001145E\U000114B0-\U000114C3\U000115AF-\U000115B5'::text) || '\U000115B8-\U000115C0\U000115DC-\U000115DD\U00011630-\U00011640\U000116AB-\U000116B7\U0001171D-\U0001172B\U0001182C-\U0001183A'::text) || '\U00011930-\U00011935\U00011937-\U00011938\U0001193B-\U0001193E\U00011940\U00011942-\U00011943\U000119D1-\U000119D7'::text) || '\U000119DA-\U000119E0\U000119E4\U00011A01-\U00011A0A\U00011A33-\U00011A39\U00011A3B-\U00011A3E\U00011A47\U00011A51-\U00011A5B'::text) || '\U00011A8A-\U00011A99\U00011C2F-\U00011C36\U00011C38-\U00011C3F\U00011C92-\U00011CA7\U00011CA9-\U00011CB6\U00011D31-\U00011D36'::text) || '\U00011D3A\U00011D3C-\U00011D3D\U00011D3F-\U00011D45\U00011D47\U00011D8A-\U00011D8E\U00011D90-\U00011D91\U00011D93-\U00011D97'::text) || '\U00011EF3-\U00011EF6\U00016AF0-\U00016AF4\U00016B30-\U00016B36\U00016F4F\U00016F51-\U00016F87\U00016F8F-\U00016F92\U00016FE4'::text) || '\U00016FF0-\U00016FF1\U0001BC9D-\U0001BC9E\U0001CF00-\U0001CF2D\U0001CF30-\U0001CF46\U0001D165-\U0001D169\U0001D16D-\U0001D172'::text) || '\U0001D17B-\U0001D182\U0001D185-\U0001D18B\U0001D1AA-\U0001D1AD\U0001D242-\U0001D244\U0001DA00-\U0001DA36\U0001DA3B-\U0001DA6C'::text) || '\U0001DA75\U0001DA84\U0001DA9B-\U0001DA9F\U0001DAA1-\U0001DAAF\U0001E000-\U0001E006\U0001E008-\U0001E018\U0001E01B-\U0001E021'::text) || '\U0001E023-\U0001E024\U0001E026-\U0001E02A\U0001E130-\U0001E136\U0001E2AE\U0001E2EC-\U0001E2EF\U0001E8D0-\U0001E8D6'::text) || '\U0001E944-\U0001E94A\U000E0100-\U000E01EF'::text) || ']'::text)) AND (p_text !~ (('(?<!['::text || '\u00A9\u00AE\u203C\u2049\u2122\u2139\u2190-\u27FF\u2900-\u2BFF\u3030\u303D\u3297\u3299\U0001F000-\U0001FAFF'::text) || ']|[0-9#*](?=\uFE0F\u20E3))[\uFE0E\uFE0F]'::text)) AND (p_text !~ '(?<![\u1820-\u18AF])[\u180B-\u180D\u180F]'::text) AND (p_text !~ ((('(?<!['::text || '\u0620-\u109F\u1700-\u17B3\u17B6-\u17FF\u1820-\u18AF\u1900-\u1CFF\u2190-\u27FF\u2900-\u2BFF\uA800-\uABFF\uFB50-\uFDCF\uFDF0-\uFDFF'::text) || '\uFE70-\uFEFC\U00010A00-\U00011FFF\U0001E900-\U0001E95F\U0001F000-\U0001FAFF'::text) || '\uFE0E\uFE0F])[\u200C\u200D]'::text)) AND (p_text !~ ((('[\u200C\u200D](?!['::text || '\u0620-\u109F\u1700-\u17B3\u17B6-\u17FF\u1820-\u18AF\u1900-\u1CFF\u2190-\u27FF\u2900-\u2BFF\uA800-\uABFF\uFB50-\uFDCF\uFDF0-\uFDFF'::text) || '\uFE70-\uFEFC\U00010A00-\U00011FFF\U0001E900-\U0001E95F\U0001F000-\U0001FAFF'::text) || '])'::text)));

CREATE FUNCTION gannet.is_worker_role(p_role oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT pg_has_role(p_role, 'gannet_worker', 'MEMBER') AND NOT pg_has_role(p_role, 'gannet_coordinator', 'MEMBER')
         AND p_role <> (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'gannet')
$$;

CREATE FUNCTION gannet.join_run(p_worker text, p_secret text, p_incarnation bigint, p_run_name text, p_display_name text, p_hardware text, p_data_kind text, p_data_image_count bigint, p_data_digest text) RETURNS TABLE(run_id bigint, config text, run_state text, data_matches boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
DECLARE
  v_run gannet.run;
  v_secret_sha256 bytea := sha256(convert_to(p_secret, 'UTF8'));
  v_known gannet.worker;
  v_returned integer := 0;
BEGIN
  PERFORM gannet.require_identity(p_worker, p_secret, p_incarnation);
  PERFORM gannet.require_text('run_name', p_run_name, 64);
  PERFORM gannet.require_text('display_name', p_display_name, 64);
  PERFORM gannet.require_text('hardware', p_hardware, 200);
  IF p_run_name = '' THEN
    SELECT * INTO v_run FROM gannet.run r WHERE r.state IN ('running', 'paused') ORDER BY r.run_id DESC LIMIT 1;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'no run that has not ended' USING ERRCODE = 'GN005';
    END IF;
  ELSE
    SELECT * INTO v_run FROM gannet.run r WHERE r.name = p_run_name;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'no such run: %', p_run_name USING ERRCODE = 'GN005';
    END IF;
  END IF;
  SELECT * INTO v_known FROM gannet.worker w WHERE w.run_id = v_run.run_id AND w.worker_id = p_worker;
  IF FOUND AND v_known.secret_sha256 IS DISTINCT FROM v_secret_sha256 THEN
    RAISE EXCEPTION 'the worker is known with another secret: %', p_worker USING ERRCODE = 'GN016';
  END IF;
  PERFORM gannet.require_not_removed(v_known.removed_reason);

  run_id := v_run.run_id;
  config := gannet.config_of(v_run.run_id, v_run.weights_version + 1)::text;
  run_state := v_run.state::text;
  data_matches := true;
  IF p_data_kind IS NOT NULL THEN
    data_matches := (p_data_kind = v_run.data_kind AND p_data_image_count = v_run.data_image_count
                     AND p_data_digest = v_run.data_digest) IS TRUE;
    IF data_matches THEN
      IF v_known.incarnation <> p_incarnation THEN
        v_returned := gannet.return_units(v_run.run_id, p_worker);
      END IF;
      -- kMaxWorkersOfRun. Without a lock: a few who join at the same moment may be let in beyond it.
      IF v_known.worker_id IS NULL AND (SELECT count(*) FROM gannet.worker w WHERE w.run_id = v_run.run_id) >= 10000 THEN
        RAISE EXCEPTION 'the run has all the workers it may have: 10000' USING ERRCODE = 'GN008';
      END IF;
      INSERT INTO gannet.worker AS w (run_id, worker_id, secret_sha256, incarnation, display_name, hardware, last_seen)
      VALUES (v_run.run_id, p_worker, v_secret_sha256, p_incarnation, p_display_name, p_hardware, gannet.clock_now())
      ON CONFLICT (run_id, worker_id) DO UPDATE
         SET incarnation = excluded.incarnation, display_name = excluded.display_name,
             hardware = excluded.hardware, last_seen = excluded.last_seen, signed_off = false
       WHERE w.secret_sha256 = excluded.secret_sha256;
      IF NOT FOUND THEN
        -- Somebody else took the id at the same moment.
        RAISE EXCEPTION 'the worker is known with another secret: %', p_worker USING ERRCODE = 'GN016';
      END IF;
      IF v_returned > 0 THEN
        PERFORM pg_notify('gannet_work', v_run.run_id::text);
      END IF;
    END IF;
  END IF;
  RETURN NEXT;
END
$$;

CREATE FUNCTION gannet.keep_best(p_run bigint, p_leader text, p_epoch bigint, p_version bigint, p_distance double precision, p_codec smallint, p_sha256 bytea, p_payload_bytes bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    AS $$
DECLARE
  v_run gannet.run;
  v_turn bigint;
BEGIN
  v_run := gannet.require_leader(p_run, p_leader, p_epoch, true);
  IF p_version > v_run.weights_version THEN
    RAISE EXCEPTION 'version is not published yet: current %, got %', v_run.weights_version, p_version USING ERRCODE = 'GN003';
  END IF;
  INSERT INTO gannet.best_weights AS b (run_id, version, distance, codec, sha256, payload_bytes, turn)
  VALUES (p_run, p_version, p_distance, p_codec, p_sha256, p_payload_bytes, 1)
  ON CONFLICT (run_id) DO UPDATE
     SET version = excluded.version, distance = excluded.distance, codec = excluded.codec, sha256 = excluded.sha256,
         payload_bytes = excluded.payload_bytes, turn = b.turn + 1
  RETURNING b.turn INTO v_turn;
  IF v_turn = 1 THEN
    PERFORM gannet.create_blob_ring('best_blob', p_run, 'turn', 2, 'turn, seq');
  ELSE
    PERFORM gannet.free_blob_leaf(format('best_blob_%s_%s', p_run, v_turn % 2), 'turn', v_turn, 'SELECT WHERE false');
  END IF;
  RETURN v_turn;
END
$$;

CREATE FUNCTION gannet.leave_run(p_worker text, p_secret text, p_incarnation bigint, p_run bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  IF gannet.return_units(p_run, p_worker) > 0 THEN
    PERFORM pg_notify('gannet_work', p_run::text);
  END IF;
  UPDATE gannet.worker w SET signed_off = true WHERE w.run_id = p_run AND w.worker_id = p_worker;
END
$$;

CREATE FUNCTION gannet.may_claim(p_run bigint, p_worker text, p_failed_by text[], p_ready_at timestamp with time zone, p_now timestamp with time zone, p_patience interval) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT p_worker <> ALL (p_failed_by) OR p_ready_at + p_patience <= p_now
      OR NOT EXISTS (SELECT FROM gannet.worker o
                      WHERE o.run_id = p_run AND o.worker_id <> ALL (p_failed_by) AND NOT o.signed_off AND o.removed_reason IS NULL
                        AND o.last_seen > p_now - interval '30 seconds' /* kWorkerPresence */)
$$;

CREATE FUNCTION gannet.open_weights(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_version bigint, p_sha256 bytea) RETURNS TABLE(codec smallint, sha256 bytea, payload_bytes bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
#variable_conflict use_column
DECLARE
  v_in_ring boolean;
  v_cursor refcursor := 'weights';
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  SELECT w.codec, w.sha256, w.payload_bytes, w.in_ring INTO codec, sha256, payload_bytes, v_in_ring
    FROM gannet.weights w WHERE w.run_id = p_run AND w.version = p_version;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'weights of this version are not kept, fetch the current ones: current %, got %',
      (SELECT r.weights_version FROM gannet.run r WHERE r.run_id = p_run), p_version USING ERRCODE = 'GN005';
  END IF;
  IF p_sha256 <> '' AND p_sha256 <> sha256 THEN
    RAISE EXCEPTION 'other weights have this version, claim again: version %', p_version USING ERRCODE = 'GN005';
  END IF;
  -- The plan knows the version, so it touches one leaf only and never waits for one that is being freed.
  IF v_in_ring THEN
    OPEN v_cursor FOR SELECT b.data FROM gannet.weights_blob b
      WHERE b.run_id = p_run AND b.version % 8 = p_version % 8 AND b.version = p_version ORDER BY b.seq;
  ELSE
    OPEN v_cursor FOR SELECT b.data FROM gannet.weights_kept_blob b
      WHERE b.run_id = p_run AND b.version = p_version ORDER BY b.seq;
  END IF;
  RETURN NEXT;
END
$$;

CREATE FUNCTION gannet.prepare_round(p_run bigint, p_leader text, p_epoch bigint, p_round bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '200ms'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
DECLARE
  v_run gannet.run;
  v_found boolean;
BEGIN
  v_run := gannet.require_leader(p_run, p_leader, p_epoch, false);
  IF p_round - v_run.weights_version NOT IN (1, 2) THEN
    RAISE EXCEPTION 'round must be one or two above the published version %, got %', v_run.weights_version, p_round
      USING ERRCODE = 'GN003';
  END IF;

  IF EXISTS (SELECT FROM gannet.gradient g
              WHERE g.run_id = p_run AND g.has_bytes AND g.round < p_round AND (p_round - g.round) % 8 = 0) THEN
    PERFORM gannet.free_blob_leaf(
      format('gradient_blob_%s_%s', p_run, p_round % 8), 'round', p_round,
      format('SELECT FROM gannet.gradient g WHERE g.run_id = %s AND g.has_bytes AND g.round >= %s', p_run, p_round));
    UPDATE gannet.gradient g SET has_bytes = false
     WHERE g.run_id = p_run AND g.has_bytes AND g.round < p_round AND (p_round - g.round) % 8 = 0;
  END IF;

  IF EXISTS (SELECT FROM gannet.weights w
              WHERE w.run_id = p_run AND w.in_ring AND w.version < p_round AND (p_round - w.version) % 8 = 0) THEN
    -- The plan knows the values, so it touches one leaf only.
    INSERT INTO gannet.weights_kept_blob (run_id, version, seq, data)
    SELECT b.run_id, b.version, b.seq, b.data
      FROM gannet.weights w JOIN gannet.weights_blob b ON b.run_id = w.run_id AND b.version = w.version
     WHERE w.run_id = p_run AND w.in_ring AND w.keep AND w.version < p_round AND (p_round - w.version) % 8 = 0
       AND b.run_id = p_run AND b.version % 8 = p_round % 8;
    PERFORM gannet.free_blob_leaf(
      format('weights_blob_%s_%s', p_run, p_round % 8), 'version', p_round,
      format('SELECT FROM gannet.weights w WHERE w.run_id = %s AND w.version >= %s', p_run, p_round));
    DELETE FROM gannet.weights w
     WHERE w.run_id = p_run AND w.in_ring AND NOT w.keep AND w.version < p_round AND (p_round - w.version) % 8 = 0;
    UPDATE gannet.weights w SET in_ring = false
     WHERE w.run_id = p_run AND w.in_ring AND w.keep AND w.version < p_round AND (p_round - w.version) % 8 = 0;
  END IF;

  -- Versions four below belong to nobody: the current one is one or two below.
  EXECUTE format('SELECT EXISTS (SELECT FROM gannet.%I b WHERE b.version < %s)', format('adam_blob_%s_%s', p_run, p_round % 4),
                 p_round) INTO v_found;
  IF v_found THEN
    PERFORM gannet.free_blob_leaf(
      format('adam_blob_%s_%s', p_run, p_round % 4), 'version', p_round,
      format('SELECT FROM gannet.adam_state a WHERE a.run_id = %s AND a.version >= %s', p_run, p_round));
  END IF;

  DELETE FROM gannet.ledger s WHERE s.run_id = p_run AND s.round <= p_round - 8;
END
$$;

CREATE FUNCTION gannet.publish_round(p_run bigint, p_leader text, p_epoch bigint, p_expected_version bigint, p_weights_codec smallint, p_weights_sha256 bytea, p_weights_bytes bigint, p_keep boolean, p_adam_codec smallint, p_adam_sha256 bytea, p_adam_bytes bigint, p_data_epoch bigint, p_gradient_count integer, p_image_count integer, p_discriminator_loss double precision, p_generator_loss double precision, p_real_accuracy double precision, p_fake_accuracy double precision, p_seconds double precision, p_consumed bigint[], p_slots integer[], p_image_counts integer[], p_indices bigint[], p_finished boolean, p_settings_version bigint, p_expected_sha256 bytea, p_consumed_sha256 bytea, p_max_stale_rounds integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_run gannet.run;
  v_round bigint := p_expected_version + 1;
  v_unit bigint;
BEGIN
  v_run := gannet.require_leader(p_run, p_leader, p_epoch, true);
  IF v_run.state NOT IN ('running', 'paused') THEN
    RAISE EXCEPTION 'the run has ended, publish nothing more: %', v_run.state USING ERRCODE = 'GN009';
  END IF;
  IF v_run.weights_version <> p_expected_version THEN
    RAISE EXCEPTION 'another version is published, read the run again: expected %, got %', p_expected_version,
      v_run.weights_version USING ERRCODE = 'GN010';
  END IF;
  -- Numbers come again when a database has gone back, checksums do not. Empty ones are not compared.
  IF p_expected_sha256 <> '' AND NOT EXISTS (
       SELECT FROM gannet.weights w WHERE w.run_id = p_run AND w.version = p_expected_version AND w.sha256 = p_expected_sha256) THEN
    RAISE EXCEPTION 'other weights have this version, read the run again: version %', p_expected_version USING ERRCODE = 'GN010';
  END IF;
  IF v_run.settings_version <> p_settings_version THEN
    RAISE EXCEPTION 'settings have been changed, plan the next round again' USING ERRCODE = 'GN010';
  END IF;
  -- In the order in which heartbeats lock them.
  PERFORM FROM gannet.work_unit u WHERE u.run_id = p_run AND u.round = v_round ORDER BY u.unit_id FOR NO KEY UPDATE;
  SELECT c.unit_id INTO v_unit FROM unnest(p_consumed) AS c(unit_id)
   WHERE NOT EXISTS (SELECT FROM gannet.work_unit u WHERE u.unit_id = c.unit_id AND u.run_id = p_run AND u.round = v_round
                        AND u.state = 'done')
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'consumed names a unit without a gradient of this round, read the run again: %', v_unit USING ERRCODE = 'GN010';
  END IF;
  IF EXISTS (SELECT FROM gannet.gradient g JOIN gannet.worker w USING (run_id, worker_id)
              WHERE g.unit_id = ANY (p_consumed) AND w.removed_reason IS NOT NULL) THEN
    -- Its work is taken back in a moment.
    RAISE EXCEPTION 'a worker whose gradient is consumed was removed, read the run again: round %', v_round USING ERRCODE = 'GN010';
  END IF;
  IF p_consumed_sha256 <> '' AND p_consumed_sha256 IS DISTINCT FROM (
       SELECT sha256(coalesce(string_agg(g.sha256, ''::bytea ORDER BY c.place), ''))
         FROM unnest(p_consumed) WITH ORDINALITY AS c(unit_id, place) JOIN gannet.gradient g USING (unit_id)) THEN
    RAISE EXCEPTION 'other gradients than those consumed belong to these units, read the run again: round %', v_round
      USING ERRCODE = 'GN010';
  END IF;

  UPDATE gannet.run r
     SET usual_unit_us = coalesce(
           (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY (extract(epoch FROM g.accepted_at - u.claimed_at) * 1000000)::bigint)
              FROM gannet.gradient g JOIN gannet.work_unit u USING (unit_id) WHERE g.run_id = p_run AND g.round = v_round
                 AND u.stale_rounds = 0),
           r.usual_unit_us),
         weights_version = v_round, state = CASE WHEN p_finished THEN 'finished' ELSE r.state END,
         state_reason = CASE WHEN p_finished THEN '' ELSE r.state_reason END
   WHERE r.run_id = p_run;
  IF p_max_stale_rounds > 0 THEN
    WITH livelier AS (
      -- A spare that was made while its slot was being filled is leased still: its images count already.
      SELECT DISTINCT ON (u.slot) u.unit_id, u.slot FROM gannet.work_unit u
       WHERE u.run_id = p_run AND u.round = v_round AND u.state = 'leased' AND u.stale_rounds < p_max_stale_rounds
         AND NOT EXISTS (SELECT FROM gannet.gradient g WHERE g.run_id = p_run AND g.round = v_round AND g.slot = u.slot)
       ORDER BY u.slot, u.progress_at DESC, u.unit_id
    ), placed AS (
      SELECT l.unit_id, (SELECT max(s) FROM unnest(p_slots) AS s) + row_number() OVER (ORDER BY l.slot) AS slot FROM livelier l
    )
    UPDATE gannet.work_unit u
       SET round = v_round + 1, slot = p.slot, is_spare = true, stale_rounds = u.stale_rounds + 1,
           claimed_slot = coalesce(u.claimed_slot, u.slot)
      FROM placed p WHERE u.unit_id = p.unit_id;
  END IF;
  UPDATE gannet.work_unit u
     SET state = CASE WHEN u.state IN ('ready', 'leased', 'failed') THEN 'closed' ELSE u.state END,
         consumed = u.unit_id = ANY (p_consumed), image_indices = NULL
   WHERE u.run_id = p_run AND u.round = v_round;
  -- Kept, but too late for a round that did not wait for it.
  UPDATE gannet.worker w SET wasted_image_count = w.wasted_image_count + left_out.images
    FROM (SELECT g.worker_id, sum(g.image_count) AS images FROM gannet.gradient g
           WHERE g.run_id = p_run AND g.round = v_round AND g.unit_id <> ALL (p_consumed) GROUP BY g.worker_id) left_out
   WHERE w.run_id = p_run AND w.worker_id = left_out.worker_id;
  -- A good gradient forgives one rejection (kMaxRejectionsInARow), not all: whoever hands in bad ones mostly is sent away.
  UPDATE gannet.worker w SET rejected_in_a_row = greatest(0, w.rejected_in_a_row - good.gradients)
    FROM (SELECT g.worker_id, count(*)::integer AS gradients FROM gannet.gradient g
           WHERE g.run_id = p_run AND g.unit_id = ANY (p_consumed) GROUP BY g.worker_id) good
   WHERE w.run_id = p_run AND w.worker_id = good.worker_id AND w.rejected_in_a_row > 0;
  INSERT INTO gannet.weights (run_id, version, codec, sha256, payload_bytes, keep)
  VALUES (p_run, v_round, p_weights_codec, p_weights_sha256, p_weights_bytes, p_keep);
  UPDATE gannet.adam_state a
     SET version = v_round, codec = p_adam_codec, sha256 = p_adam_sha256, payload_bytes = p_adam_bytes
   WHERE a.run_id = p_run;
  INSERT INTO gannet.round_summary (
      run_id, round, epoch, gradient_count, image_count, discriminator_loss, generator_loss, real_accuracy, fake_accuracy,
      seconds)
  VALUES (p_run, v_round, p_data_epoch, p_gradient_count, p_image_count, p_discriminator_loss, p_generator_loss,
          p_real_accuracy, p_fake_accuracy, p_seconds);
  PERFORM gannet.add_units(p_run, v_round + 1, p_slots, p_image_counts, p_indices);
  PERFORM pg_notify('gannet_work', p_run::text);
  IF p_finished THEN
    PERFORM pg_notify('gannet_round', p_run::text);
  END IF;
END
$$;

CREATE FUNCTION gannet.reap_expired_leases(p_run bigint, p_leader text, p_epoch bigint) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_now timestamptz := gannet.clock_now();
  v_run gannet.run;
  v_count integer;
BEGIN
  v_run := gannet.require_leader(p_run, p_leader, p_epoch, false);
  -- Whom a transaction has removed, and the one behind it has failed. The run is locked before units.
  IF v_run.state IN ('running', 'paused') THEN
    PERFORM gannet.take_back_work(p_run, w.worker_id) FROM gannet.worker w
      WHERE w.run_id = p_run AND w.removed_reason IS NOT NULL
        AND EXISTS (SELECT FROM gannet.work_unit u
                     WHERE u.run_id = p_run AND u.round = v_run.weights_version + 1 AND u.holder = w.worker_id AND u.state IN ('leased', 'done'));
  END IF;
  -- A unit that is locked is being submitted, renewed or returned: the next call will see.
  WITH expired AS MATERIALIZED (
    SELECT u.unit_id FROM gannet.work_unit u
     WHERE u.run_id = p_run AND u.state = 'leased' AND u.lease_until <= v_now
     ORDER BY u.unit_id FOR UPDATE SKIP LOCKED
  ), returned AS (
    -- lease_until stays: by it a heartbeat knows a lease that has run out from one that was given back.
    UPDATE gannet.work_unit u
       SET state = gannet.state_after_return(u.is_spare), ready_at = v_now + gannet.return_delay(u.attempt)
      FROM expired e WHERE u.unit_id = e.unit_id AND u.state = 'leased' AND u.lease_until <= v_now
    RETURNING u.round, u.unit_id, u.attempt, u.holder)
  INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
  SELECT p_run, r.round, r.unit_id, r.attempt, r.holder, 101 /* expired */, v_now FROM returned r;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count > 0 THEN
    PERFORM pg_notify('gannet_work', p_run::text);
  END IF;
  RETURN v_count;
END
$$;

CREATE FUNCTION gannet.reclaim_blobs(p_run bigint, p_leader text, p_epoch bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
DECLARE
  v_run gannet.run;
BEGIN
  v_run := gannet.require_leader(p_run, p_leader, p_epoch, true);
  IF v_run.state NOT IN ('finished', 'stopped') THEN
    RAISE EXCEPTION 'the run has not ended, its bytes are needed: %', v_run.state USING ERRCODE = 'GN009';
  END IF;
  FOR v_leaf IN 0 .. 7 LOOP
    EXECUTE format('TRUNCATE gannet.%I', format('gradient_blob_%s_%s', p_run, v_leaf));
  END LOOP;
  UPDATE gannet.gradient g SET has_bytes = false WHERE g.run_id = p_run AND g.has_bytes;

  INSERT INTO gannet.weights_kept_blob (run_id, version, seq, data)
  SELECT b.run_id, b.version, b.seq, b.data
    FROM gannet.weights w JOIN gannet.weights_blob b ON b.run_id = w.run_id AND b.version = w.version
   WHERE w.run_id = p_run AND w.in_ring AND w.keep AND w.version < v_run.weights_version AND b.run_id = p_run;
  FOR v_leaf IN 0 .. 7 LOOP
    IF v_leaf <> v_run.weights_version % 8 THEN
      EXECUTE format('TRUNCATE gannet.%I', format('weights_blob_%s_%s', p_run, v_leaf));
    END IF;
  END LOOP;
  DELETE FROM gannet.weights_blob b WHERE b.run_id = p_run AND b.version < v_run.weights_version;
  UPDATE gannet.weights w SET in_ring = false
   WHERE w.run_id = p_run AND w.in_ring AND w.keep AND w.version < v_run.weights_version;
  DELETE FROM gannet.weights w WHERE w.run_id = p_run AND w.in_ring AND w.version < v_run.weights_version;

  FOR v_leaf IN 0 .. 3 LOOP
    IF v_leaf <> v_run.weights_version % 4 THEN
      EXECUTE format('TRUNCATE gannet.%I', format('adam_blob_%s_%s', p_run, v_leaf));
    END IF;
  END LOOP;
END
$$;

CREATE FUNCTION gannet.reject_gradient(p_run bigint, p_leader text, p_epoch bigint, p_unit bigint, p_reason text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_run gannet.run;
  v_gradient gannet.gradient;
  v_removed text;
BEGIN
  v_run := gannet.require_leader(p_run, p_leader, p_epoch, true);
  IF v_run.state IN ('running', 'paused') THEN
    UPDATE gannet.work_unit u
       SET state = CASE WHEN u.stale_rounds > 0 THEN 'closed' ELSE gannet.state_after_failure(u.failures + 1) END,
           failures = u.failures + 1, failure_reason = p_reason, failed_by = gannet.failed_also_by(u.failed_by, u.holder),
           holder = NULL, lease_until = NULL,
           ready_at = gannet.clock_now() + gannet.return_delay(u.attempt), is_spare = u.stale_rounds > 0  -- else the slot's only one now
     WHERE u.unit_id = p_unit AND u.run_id = p_run AND u.round = v_run.weights_version + 1 AND u.state = 'done';
  END IF;
  IF v_run.state NOT IN ('running', 'paused') OR NOT FOUND THEN
    RAISE EXCEPTION 'no gradient of the open round belongs to this unit: %', p_unit USING ERRCODE = 'GN005';
  END IF;
  -- Its bytes stay, unseen, until their leaf is freed.
  DELETE FROM gannet.gradient g WHERE g.unit_id = p_unit RETURNING * INTO v_gradient;
  UPDATE gannet.worker w
     SET accepted_unit_count = w.accepted_unit_count - 1,
         accepted_image_count = w.accepted_image_count - v_gradient.image_count,
         rejected_in_a_row = w.rejected_in_a_row + 1
   WHERE w.run_id = p_run AND w.worker_id = v_gradient.worker_id;
  UPDATE gannet.worker w
     SET removed_reason = left(format('%s more gradients were rejected than used, the last one: %s', w.rejected_in_a_row, p_reason), 500),
         signed_off = true  -- RejectionsReason
   WHERE w.run_id = p_run AND w.worker_id = v_gradient.worker_id AND w.removed_reason IS NULL
     AND w.rejected_in_a_row >= 3 /* kMaxRejectionsInARow */
  RETURNING w.worker_id INTO v_removed;
  INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
  VALUES (p_run, v_gradient.round, p_unit, v_gradient.attempt, v_gradient.worker_id, 104 /* rejected */, gannet.clock_now());
  PERFORM gannet.announce_failure(p_run, p_unit);
  RETURN v_removed;
END
$$;

CREATE FUNCTION gannet.release_unit(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  -- No unit is not every unit.
  IF p_unit IS NOT NULL AND gannet.return_units(p_run, p_worker, p_unit, p_attempt) > 0 THEN
    PERFORM pg_notify('gannet_work', p_run::text);
  END IF;
END
$$;

CREATE FUNCTION gannet.remove_worker(p_run bigint, p_worker text, p_reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  PERFORM gannet.require_run(p_run);
  UPDATE gannet.worker w SET removed_reason = p_reason, signed_off = true WHERE w.run_id = p_run AND w.worker_id = p_worker;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such worker in this run: %', p_worker USING ERRCODE = 'GN005';
  END IF;
END
$$;

CREATE FUNCTION gannet.report_gateway(p_gateway text, p_refusing text, p_max_reports bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
  PERFORM gannet.require_text('the name of a gateway', p_gateway, 80);
  IF (p_gateway <> '' AND p_refusing ~ '^([a-z_]{1,40}(,[a-z_]{1,40}){0,31})?$' AND p_max_reports BETWEEN 1 AND 1000) IS NOT TRUE THEN
    RAISE EXCEPTION 'a gateway has a name, and at most 32 reasons of at most 40 small letters each' USING ERRCODE = 'GN003';
  END IF;
  IF p_refusing = '' THEN
    DELETE FROM gannet.gateway_report g WHERE g.gateway = p_gateway;
    RETURN;
  END IF;
  INSERT INTO gannet.gateway_report (gateway, refusing, reported_at) VALUES (p_gateway, p_refusing, clock_timestamp())
  ON CONFLICT (gateway) DO UPDATE SET refusing = excluded.refusing, reported_at = excluded.reported_at;
  DELETE FROM gannet.gateway_report g
   WHERE g.gateway IN (SELECT o.gateway FROM gannet.gateway_report o ORDER BY o.reported_at DESC OFFSET p_max_reports);
END
$_$;

CREATE FUNCTION gannet.require_identity(p_worker text, p_secret text, p_incarnation bigint) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
BEGIN
  IF (p_worker ~ '^[0-9a-f]{32}$' AND p_secret ~ '^[0-9a-f]{64}$' AND p_incarnation >= 1) IS NOT TRUE THEN
    RAISE EXCEPTION 'a worker is 32 hexadecimal digits, its secret 64, its incarnation at least 1' USING ERRCODE = 'GN003';
  END IF;
END
$_$;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE gannet.run (
    run_id bigint NOT NULL,
    name text NOT NULL,
    config jsonb NOT NULL,
    state gannet.run_state DEFAULT 'running'::gannet.run_state NOT NULL,
    state_reason text DEFAULT ''::text NOT NULL,
    weights_version bigint DEFAULT 0 NOT NULL,
    seed numeric(20,0) NOT NULL,
    lease interval NOT NULL,
    micro_batch integer NOT NULL,
    data_kind text NOT NULL,
    data_image_count bigint NOT NULL,
    data_digest text NOT NULL,
    leader_id text,
    leader_epoch bigint DEFAULT 0 NOT NULL,
    leader_until timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    spare_after double precision DEFAULT 0 NOT NULL,
    usual_unit_us bigint DEFAULT 0 NOT NULL,
    settings_version bigint DEFAULT 0 NOT NULL,
    gradient_codec smallint DEFAULT 1 NOT NULL,
    gradient_bytes_max bigint,
    CONSTRAINT run_micro_batch_check CHECK ((micro_batch > 0))
)
WITH (fillfactor='50');

CREATE FUNCTION gannet.require_leader(p_run bigint, p_leader text, p_epoch bigint, p_lock boolean) RETURNS gannet.run
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_run gannet.run;
BEGIN
  IF p_lock THEN
    SELECT * INTO v_run FROM gannet.run r WHERE r.run_id = p_run FOR NO KEY UPDATE;
  ELSE
    SELECT * INTO v_run FROM gannet.run r WHERE r.run_id = p_run;
  END IF;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such run: %', p_run USING ERRCODE = 'GN005';
  END IF;
  IF v_run.leader_id IS DISTINCT FROM p_leader OR v_run.leader_epoch IS DISTINCT FROM p_epoch OR v_run.leader_until <= gannet.clock_now() THEN
    RAISE EXCEPTION 'not the leader (any more), stop coordinating: current epoch %, got %', v_run.leader_epoch, p_epoch
      USING ERRCODE = 'GN009';
  END IF;
  RETURN v_run;
END
$$;

CREATE FUNCTION gannet.require_not_removed(p_removed_reason text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  IF p_removed_reason IS NOT NULL THEN
    RAISE EXCEPTION 'this worker was removed from the run: %; ask the instructor', p_removed_reason USING ERRCODE = 'GN009';
  END IF;
END
$$;

CREATE FUNCTION gannet.require_run(p_run bigint) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM gannet.run r WHERE r.run_id = p_run) THEN
    RAISE EXCEPTION 'no such run: %', p_run USING ERRCODE = 'GN005';
  END IF;
END
$$;

CREATE FUNCTION gannet.require_text(p_field text, p_text text, p_max_chars integer) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  IF (char_length(p_text) <= p_max_chars AND gannet.is_plain_text(p_text)) IS NOT TRUE THEN
    RAISE EXCEPTION '% must have at most % characters, and no control, invisible, direction or private ones', p_field, p_max_chars
      USING ERRCODE = 'GN003';
  END IF;
END
$$;

CREATE FUNCTION gannet.require_worker(p_worker text, p_secret text, p_incarnation bigint, p_run bigint) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_secret_sha256 bytea;
  v_incarnation bigint;
  v_removed_reason text;
BEGIN
  SELECT w.secret_sha256, w.incarnation, w.removed_reason INTO v_secret_sha256, v_incarnation, v_removed_reason
    FROM gannet.worker w WHERE w.run_id = p_run AND w.worker_id = p_worker;
  -- Whoever has joined with it was well-formed.
  IF FOUND AND v_secret_sha256 = sha256(convert_to(p_secret, 'UTF8')) AND v_incarnation = p_incarnation AND v_removed_reason IS NULL THEN
    RETURN;
  END IF;
  PERFORM gannet.require_identity(p_worker, p_secret, p_incarnation);
  IF v_incarnation IS NULL THEN
    IF NOT EXISTS (SELECT FROM gannet.run r WHERE r.run_id = p_run) THEN
      RAISE EXCEPTION 'no such run: %', p_run USING ERRCODE = 'GN005';
    END IF;
    RAISE EXCEPTION 'the worker is unknown in this run, join it first: %', p_worker USING ERRCODE = 'GN016';
  END IF;
  IF v_secret_sha256 IS DISTINCT FROM sha256(convert_to(p_secret, 'UTF8')) THEN
    RAISE EXCEPTION 'the secret is not this worker''s: %', p_worker USING ERRCODE = 'GN016';
  END IF;
  PERFORM gannet.require_not_removed(v_removed_reason);
  -- A database that has gone back knows only the start before.
  IF p_incarnation > v_incarnation THEN
    RAISE EXCEPTION 'this start of the worker is unknown in this run, join it first: %', p_worker USING ERRCODE = 'GN016';
  END IF;
  IF v_incarnation IS DISTINCT FROM p_incarnation THEN
    RAISE EXCEPTION 'a newer start of this worker has taken over, end this one: current %, got %',
      v_incarnation, p_incarnation USING ERRCODE = 'GN009';
  END IF;
END
$$;

CREATE FUNCTION gannet.resign_leadership(p_run bigint, p_leader text, p_epoch bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  PERFORM gannet.require_run(p_run);
  UPDATE gannet.run r SET leader_id = NULL, leader_until = NULL
   WHERE r.run_id = p_run AND r.leader_id = p_leader AND r.leader_epoch = p_epoch;
END
$$;

CREATE FUNCTION gannet.restore_run(p_run bigint, p_archive text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_archive jsonb := p_archive::jsonb;
BEGIN
  INSERT INTO gannet.run_change (run_id, from_round, config, reason, changed_at)
  SELECT p_run, (c->>'round')::bigint, c->'config', c->>'reason', gannet.clock_now()
    FROM jsonb_array_elements(v_archive->'changes') AS c;
  UPDATE gannet.run r SET spare_after = coalesce((v_archive->'changes'->-1->'config'->>'spare_after')::double precision, r.spare_after)
   WHERE r.run_id = p_run;
  IF (v_archive->>'paused')::boolean THEN
    UPDATE gannet.run r SET state = 'paused', state_reason = coalesce(v_archive->>'pause_reason', '') WHERE r.run_id = p_run;
  END IF;
  INSERT INTO gannet.worker (
      run_id, worker_id, secret_sha256, incarnation, display_name, hardware, accepted_unit_count, accepted_image_count,
      duplicate_unit_count, wasted_image_count, last_seen, removed_reason, signed_off)
  SELECT p_run, w->'summary'->>'worker_id', decode(w->>'secret_sha256', 'base64'), (w->>'incarnation')::bigint,
         w->'summary'->>'display_name', w->'summary'->>'hardware', (w->'summary'->>'accepted_unit_count')::bigint,
         (w->'summary'->>'accepted_image_count')::bigint, (w->'summary'->>'duplicate_unit_count')::bigint,
         (w->'summary'->>'wasted_image_count')::bigint, (w->'summary'->>'last_seen_time')::timestamptz,
         nullif(w->'summary'->>'removed_reason', ''), coalesce(w->'summary'->>'removed_reason', '') <> ''
    FROM jsonb_array_elements(v_archive->'workers') AS w;
END
$$;

CREATE FUNCTION gannet.restore_worker(p_run bigint, p_worker text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  PERFORM gannet.require_run(p_run);
  UPDATE gannet.worker w SET removed_reason = NULL, rejected_in_a_row = 0 WHERE w.run_id = p_run AND w.worker_id = p_worker;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such worker in this run: %', p_worker USING ERRCODE = 'GN005';
  END IF;
END
$$;

CREATE FUNCTION gannet.return_delay(p_attempt integer) RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (p_attempt < 2) THEN '00:00:00'::interval ELSE ((LEAST(5, (1 << LEAST((p_attempt - 2), 3))))::double precision * '00:00:01'::interval) END;

CREATE FUNCTION gannet.return_units(p_run bigint, p_worker text, p_unit bigint DEFAULT NULL::bigint, p_attempt integer DEFAULT NULL::integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_count integer;
BEGIN
  -- In the order in which heartbeats lock them.
  PERFORM FROM gannet.work_unit u
    WHERE u.run_id = p_run AND u.holder = p_worker AND u.state = 'leased' AND (p_unit IS NULL OR (u.unit_id = p_unit AND u.attempt = p_attempt))
    ORDER BY u.unit_id FOR NO KEY UPDATE;
  WITH returned AS (
    UPDATE gannet.work_unit u SET state = gannet.state_after_return(u.is_spare), lease_until = NULL
     WHERE u.run_id = p_run AND u.holder = p_worker AND u.state = 'leased'
       AND (p_unit IS NULL OR (u.unit_id = p_unit AND u.attempt = p_attempt))
    RETURNING u.round, u.unit_id, u.attempt)
  INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
  SELECT p_run, r.round, r.unit_id, r.attempt, p_worker, 102 /* returned */, gannet.clock_now() FROM returned r;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END
$$;

CREATE FUNCTION gannet.schema_state(OUT version integer, OUT functions text) RETURNS record
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT coalesce(max(m.version), 0),
         string_agg(m.file_name || ' ' || m.sha256, E'\n' ORDER BY m.file_name COLLATE "C") FILTER (WHERE m.version IS NULL)
    FROM gannet.schema_migration m
$$;

CREATE FUNCTION gannet.sessions_holding_locks() RETURNS TABLE(pid integer, transaction text, role_name text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
         JOIN gannet.run r ON r.run_id = substring(c.relname FROM '^gradient_blob_([0-9]+)_[0-7]$')::bigint
   WHERE l.locktype = 'relation' AND l.granted AND l.mode <> 'AccessShareLock'
     AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
     AND gannet.is_worker_role(a.usesysid)
     AND (r.state NOT IN ('running', 'paused') OR right(c.relname, 1)::bigint <> (r.weights_version + 1) % 8)
$_$;

CREATE FUNCTION gannet.set_run_state(p_run bigint, p_from gannet.run_state, p_to gannet.run_state, p_reason text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_version bigint;
BEGIN
  UPDATE gannet.run r
     SET state = p_to, state_reason = CASE WHEN p_to = 'running' THEN '' ELSE p_reason END
   WHERE r.run_id = p_run AND r.state = p_from
  RETURNING r.weights_version INTO v_version;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF p_to = 'stopped' THEN
    UPDATE gannet.work_unit u SET state = 'closed'
     WHERE u.run_id = p_run AND u.round = v_version + 1 AND u.state IN ('ready', 'leased');
  ELSIF p_to = 'running' THEN
    UPDATE gannet.work_unit u SET state = 'ready', failures = 0, failed_by = '{}', ready_at = '-infinity'
     WHERE u.run_id = p_run AND u.round = v_version + 1 AND u.state = 'failed';
  END IF;
  PERFORM pg_notify('gannet_round', p_run::text);
  PERFORM pg_notify('gannet_work', p_run::text);
  RETURN true;
END
$$;

CREATE FUNCTION gannet.slow_unit(p_run bigint, p_worker text, p_now timestamp with time zone, p_limit interval) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  SELECT u.unit_id FROM gannet.work_unit u
   WHERE u.run_id = p_run AND u.state = 'leased' AND u.holder <> p_worker AND NOT u.is_spare AND p_now - u.claimed_at > p_limit
     AND p_worker <> ALL (u.failed_by)
     AND NOT EXISTS (SELECT FROM gannet.work_unit s WHERE s.run_id = p_run AND s.round = u.round AND s.slot = u.slot
                        AND s.unit_id <> u.unit_id AND s.state IN ('ready', 'leased')
                        AND (s.state = 'ready' OR s.holder = p_worker OR p_now - s.claimed_at <= p_limit))
     AND (SELECT count(*) FROM gannet.work_unit s WHERE s.run_id = p_run AND s.round = u.round AND s.slot = u.slot
             AND s.state IN ('ready', 'leased')) < 3 /* kMaxOpenUnitsOfSlot */
   ORDER BY u.claimed_at, u.slot LIMIT 1
$$;

CREATE FUNCTION gannet.spare_limit(p_spare_after double precision, p_usual_us bigint) RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN ((p_spare_after > (0)::double precision) AND (p_usual_us > 0)) THEN GREATEST('00:00:05'::interval, (((floor((p_spare_after * (p_usual_us)::double precision)))::bigint)::double precision * '00:00:00.000001'::interval)) ELSE NULL::interval END;

CREATE FUNCTION gannet.stage_gradient(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer, p_first_seq integer, p_bytes bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET lock_timeout TO '10s'
    AS $$
DECLARE
  v_round bigint;
  v_bytes_max bigint;
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  SELECT coalesce(r.gradient_bytes_max, 1 << 30) INTO v_bytes_max FROM gannet.run r WHERE r.run_id = p_run;
  IF (p_first_seq BETWEEN 0 AND 134217 AND p_first_seq * 8000::bigint + octet_length(p_bytes) <= v_bytes_max) IS NOT TRUE THEN
    RAISE EXCEPTION 'a gradient of this run has at most % bytes', v_bytes_max USING ERRCODE = 'GN008';
  END IF;
  SELECT u.round INTO v_round FROM gannet.work_unit u WHERE u.unit_id = p_unit AND u.run_id = p_run;
  IF p_first_seq > 0 AND nullif(current_setting('gannet.staged_in_round', true), '') <> v_round::text THEN
    -- See submit_gradient.
    RAISE EXCEPTION 'the unit changed while its gradient was received: %', p_unit USING ERRCODE = 'GN010';
  END IF;
  PERFORM set_config('gannet.staged_in_round', v_round::text, true);
  INSERT INTO gannet.gradient_blob (run_id, round, unit_id, attempt, seq, data)
  SELECT p_run, v_round, p_unit, p_attempt, p_first_seq + n, substring(p_bytes FROM 1 + n * 8000 FOR 8000)
    FROM gannet.work_unit u, generate_series(0, (octet_length(p_bytes) - 1) / 8000) AS n
   WHERE u.unit_id = p_unit AND u.run_id = p_run
     AND u.attempt = p_attempt AND u.holder = p_worker AND u.state IN ('leased', 'ready');
  IF NOT FOUND THEN
    -- The sender asks check_submission again.
    RAISE EXCEPTION 'the unit changed while its gradient was received: %', p_unit USING ERRCODE = 'GN010';
  END IF;
END
$$;

CREATE FUNCTION gannet.state_after_failure(p_failures integer) RETURNS gannet.unit_state
    LANGUAGE sql IMMUTABLE
    RETURN (CASE WHEN (p_failures >= 5) THEN 'failed'::text ELSE 'ready'::text END)::gannet.unit_state;

CREATE FUNCTION gannet.state_after_return(p_is_spare boolean) RETURNS gannet.unit_state
    LANGUAGE sql IMMUTABLE
    RETURN (CASE WHEN p_is_spare THEN 'closed'::text ELSE 'ready'::text END)::gannet.unit_state;

CREATE FUNCTION gannet.submit_gradient(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer, p_image_count integer, p_micro_batch_count integer, p_discriminator_loss double precision, p_generator_loss double precision, p_real_accuracy double precision, p_fake_accuracy double precision, p_compute_seconds double precision, p_codec smallint, p_sha256 bytea, p_payload_bytes bigint, p_first_seq integer, p_bytes bytea) RETURNS smallint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET lock_timeout TO '10s'
    AS $$
DECLARE
  v_now timestamptz := gannet.clock_now();
  v_micro_batch integer;
  v_codec smallint;
  v_bytes_max bigint;
  v_round bigint;
  v_outcome smallint;
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  -- Whether staged rows and checksum are right is seen by the coordinator, which reads the bytes anyway and rejects the gradient.
  IF (p_codec IN (1, 2) AND octet_length(p_sha256) = 32 AND octet_length(p_bytes) > 0 AND p_first_seq BETWEEN 0 AND 134217
      AND p_payload_bytes = p_first_seq * 8000::bigint + octet_length(p_bytes)) IS NOT TRUE THEN
    RAISE EXCEPTION 'the payload must have a known codec, 32 bytes of sha256, and as many bytes as it says' USING ERRCODE = 'GN003';
  END IF;
  -- The limits of libs/domain/gradient_limits.h. Not a number is more than infinity here.
  IF (abs(p_discriminator_loss) <= 10000 AND abs(p_generator_loss) <= 10000 /* kDivergedLoss */ AND p_real_accuracy BETWEEN 0 AND 1
      AND p_fake_accuracy BETWEEN 0 AND 1 AND p_compute_seconds BETWEEN 0 AND 604800 /* kMaxComputeSeconds */) IS NOT TRUE THEN
    RAISE EXCEPTION 'stats must have losses between -10000 and 10000, accuracies between 0 and 1 and compute_seconds between 0 and 604800'
      USING ERRCODE = 'GN003';
  END IF;
  SELECT r.micro_batch, r.gradient_codec, coalesce(r.gradient_bytes_max, 1 << 30) INTO v_micro_batch, v_codec, v_bytes_max
    FROM gannet.run r WHERE r.run_id = p_run;
  IF p_codec <> v_codec THEN
    RAISE EXCEPTION 'payload.codec is not the run''s: expected %, got %', CASE v_codec WHEN 1 THEN 'fp32' ELSE 'fp16' END,
      CASE p_codec WHEN 1 THEN 'fp32' ELSE 'fp16' END USING ERRCODE = 'GN003';
  END IF;
  IF p_payload_bytes > v_bytes_max THEN
    RAISE EXCEPTION 'a gradient of this run has at most % bytes, got %', v_bytes_max, p_payload_bytes USING ERRCODE = 'GN008';
  END IF;
  -- Whoever would not be let through the fence below holds up nobody.
  IF NOT EXISTS (SELECT FROM gannet.work_unit u
                  WHERE u.unit_id = p_unit AND u.run_id = p_run
                    AND (/* fence */ u.attempt = p_attempt AND u.holder = p_worker AND u.state IN ('leased', 'ready') /* fence */)) THEN
    v_outcome := gannet.classify_submission(p_worker, p_run, p_unit, p_attempt, p_image_count, p_micro_batch_count, p_sha256);
    IF v_outcome = 0 THEN
      RAISE EXCEPTION 'the unit changed while its gradient was received: %', p_unit USING ERRCODE = 'GN010';
    END IF;
    RETURN v_outcome;
  END IF;
  -- Accepts of a run take turns from here to their commit: of two in one slot the second must see the first, and so must the second of two
  -- that complete the round together.
  PERFORM FROM gannet.accept_turn t WHERE t.run_id = p_run FOR UPDATE;
  -- Its own unit and those beside it, in the order in which heartbeats lock them.
  PERFORM FROM gannet.work_unit mine JOIN gannet.work_unit u ON u.run_id = p_run AND u.round = mine.round AND u.slot = mine.slot
    WHERE mine.unit_id = p_unit ORDER BY u.unit_id FOR NO KEY UPDATE OF u;

  WITH accepted AS (
    UPDATE gannet.work_unit u SET state = 'done'
     WHERE u.unit_id = p_unit AND u.run_id = p_run
       AND u.image_count = p_image_count AND greatest(1, u.image_count / v_micro_batch) = p_micro_batch_count
       AND (/* fence */ u.attempt = p_attempt AND u.holder = p_worker AND u.state IN ('leased', 'ready') /* fence */)
       AND NOT EXISTS (SELECT FROM gannet.gradient g WHERE g.run_id = p_run AND g.round = u.round AND g.slot = u.slot)
    RETURNING u.round, u.slot,
              CASE WHEN u.lease_until > v_now THEN 1 ELSE 2 END AS outcome  -- accepted, late
  ), kept AS (
    INSERT INTO gannet.gradient (
        unit_id, run_id, round, slot, attempt, worker_id, image_count, micro_batch_count, discriminator_loss, generator_loss,
        real_accuracy, fake_accuracy, compute_seconds, codec, sha256, payload_bytes, accepted_at)
    SELECT p_unit, p_run, a.round, a.slot, p_attempt, p_worker, p_image_count, p_micro_batch_count, p_discriminator_loss,
           p_generator_loss, p_real_accuracy, p_fake_accuracy, p_compute_seconds, p_codec, p_sha256, p_payload_bytes, v_now
      FROM accepted a
  ), stored AS (
    INSERT INTO gannet.gradient_blob (run_id, round, unit_id, attempt, seq, data)
    SELECT p_run, a.round, p_unit, p_attempt, p_first_seq + n, substring(p_bytes FROM 1 + n * 8000 FOR 8000)
      FROM accepted a, generate_series(0, (octet_length(p_bytes) - 1) / 8000) AS n
  ), credited AS (
    UPDATE gannet.worker w
       SET accepted_unit_count = w.accepted_unit_count + 1, accepted_image_count = w.accepted_image_count + p_image_count,
           last_seen = v_now, signed_off = false
      FROM accepted a WHERE w.run_id = p_run AND w.worker_id = p_worker
  ), beside AS (
    UPDATE gannet.work_unit s SET state = 'closed', lease_until = NULL
      FROM accepted a
     WHERE s.run_id = p_run AND s.round = a.round AND s.slot = a.slot AND s.unit_id <> p_unit
       AND s.state IN ('ready', 'leased', 'failed')
  ), noted AS (
    INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
    SELECT p_run, a.round, p_unit, p_attempt, p_worker, a.outcome, v_now FROM accepted a
  )
  SELECT a.round, a.outcome INTO v_round, v_outcome FROM accepted a;

  IF v_outcome IS NULL THEN
    v_outcome := gannet.classify_submission(p_worker, p_run, p_unit, p_attempt, p_image_count, p_micro_batch_count, p_sha256);
    IF v_outcome = 0 THEN
      RAISE EXCEPTION 'the unit changed while its gradient was received: %', p_unit USING ERRCODE = 'GN010';
    END IF;
    RETURN v_outcome;
  END IF;
  IF p_first_seq > 0 AND nullif(current_setting('gannet.staged_in_round', true), '') <> v_round::text THEN
    -- A publication has taken the unit along between the parts of its gradient: all of them must lie in one round.
    RAISE EXCEPTION 'the unit changed while its gradient was received: %', p_unit USING ERRCODE = 'GN010';
  END IF;

  -- Two questions, for each state has an index of its own: a round may have thousands of units that are done.
  IF NOT EXISTS (SELECT FROM gannet.work_unit u
                  WHERE u.run_id = p_run AND u.round = v_round AND u.state = 'ready' AND u.stale_rounds = 0
                    AND NOT EXISTS (SELECT FROM gannet.gradient g WHERE g.run_id = p_run AND g.round = v_round AND g.slot = u.slot))
     AND NOT EXISTS (SELECT FROM gannet.work_unit u
                      WHERE u.run_id = p_run AND u.round = v_round AND u.state = 'leased' AND u.stale_rounds = 0
                        AND NOT EXISTS (SELECT FROM gannet.gradient g WHERE g.run_id = p_run AND g.round = v_round AND g.slot = u.slot)) THEN
    PERFORM pg_notify('gannet_round', p_run::text);
  END IF;
  RETURN v_outcome;
END
$$;

CREATE FUNCTION gannet.take_back_work(p_run bigint, p_worker text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_run gannet.run;
  v_now timestamptz := gannet.clock_now();
BEGIN
  SELECT * INTO v_run FROM gannet.run r WHERE r.run_id = p_run FOR NO KEY UPDATE;
  IF v_run.state NOT IN ('running', 'paused')
     OR NOT EXISTS (SELECT FROM gannet.worker w WHERE w.run_id = p_run AND w.worker_id = p_worker AND w.removed_reason IS NOT NULL) THEN
    RETURN;
  END IF;
  -- In the order in which heartbeats lock them.
  PERFORM FROM gannet.work_unit u
    WHERE u.run_id = p_run AND u.round = v_run.weights_version + 1 AND u.holder = p_worker ORDER BY u.unit_id FOR NO KEY UPDATE;
  WITH held AS (
    SELECT u.unit_id, u.state, u.attempt FROM gannet.work_unit u
     WHERE u.run_id = p_run AND u.round = v_run.weights_version + 1 AND u.holder = p_worker AND u.state IN ('ready', 'leased', 'done')
  ), dropped AS (
    DELETE FROM gannet.gradient g USING held h WHERE g.unit_id = h.unit_id AND h.state = 'done' RETURNING g.image_count
  ), reopened AS (
    UPDATE gannet.work_unit u
       SET state = CASE WHEN h.state = 'done' AND u.stale_rounds > 0 THEN 'closed'
                        WHEN h.state = 'leased' THEN gannet.state_after_return(u.is_spare)
                        ELSE 'ready' END::gannet.unit_state,
           is_spare = CASE WHEN h.state = 'done' THEN u.stale_rounds > 0 ELSE u.is_spare END,
           holder = NULL, lease_until = NULL
      FROM held h WHERE u.unit_id = h.unit_id
  ), noted AS (
    INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
    SELECT p_run, v_run.weights_version + 1, h.unit_id, h.attempt, p_worker, CASE h.state WHEN 'done' THEN 104 /* rejected */ ELSE 105 /* removed */ END,
           v_now
      FROM held h WHERE h.state IN ('leased', 'done')
  )
  UPDATE gannet.worker w
     SET accepted_unit_count = w.accepted_unit_count - d.units, accepted_image_count = w.accepted_image_count - d.images
    FROM (SELECT count(*) AS units, coalesce(sum(image_count), 0) AS images FROM dropped) d
   WHERE w.run_id = p_run AND w.worker_id = p_worker;
  PERFORM pg_notify('gannet_work', p_run::text);
  PERFORM pg_notify('gannet_round', p_run::text);
END
$$;

CREATE FUNCTION gannet.unit_lease(p_configured interval, p_usual_us bigint) RETURNS interval
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (p_usual_us <= 0) THEN p_configured ELSE LEAST(p_configured, GREATEST('00:00:15'::interval, (((4 * p_usual_us))::double precision * '00:00:00.000001'::interval))) END;

CREATE TABLE gannet.accept_turn (
    run_id bigint NOT NULL
);

CREATE TABLE gannet.adam_blob (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
PARTITION BY LIST (run_id);
ALTER TABLE ONLY gannet.adam_blob ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.adam_blob_43368440 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
PARTITION BY LIST (((version % (4)::bigint)));
ALTER TABLE ONLY gannet.adam_blob_43368440 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.adam_blob_43368440_0 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.adam_blob_43368440_0 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.adam_blob_43368440_1 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.adam_blob_43368440_1 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.adam_blob_43368440_2 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.adam_blob_43368440_2 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.adam_blob_43368440_3 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.adam_blob_43368440_3 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.adam_state (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    codec smallint NOT NULL,
    sha256 bytea NOT NULL,
    payload_bytes bigint NOT NULL
);

CREATE TABLE gannet.best_blob (
    run_id bigint NOT NULL,
    turn bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
PARTITION BY LIST (run_id);
ALTER TABLE ONLY gannet.best_blob ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.best_blob_43368440 (
    run_id bigint NOT NULL,
    turn bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
PARTITION BY LIST (((turn % (2)::bigint)));
ALTER TABLE ONLY gannet.best_blob_43368440 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.best_blob_43368440_0 (
    run_id bigint NOT NULL,
    turn bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.best_blob_43368440_0 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.best_blob_43368440_1 (
    run_id bigint NOT NULL,
    turn bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.best_blob_43368440_1 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.best_weights (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    distance double precision NOT NULL,
    codec smallint NOT NULL,
    sha256 bytea NOT NULL,
    payload_bytes bigint NOT NULL,
    turn bigint NOT NULL
);

CREATE TABLE gannet.gateway_report (
    gateway text NOT NULL,
    refusing text NOT NULL,
    reported_at timestamp with time zone NOT NULL
);

CREATE TABLE gannet.gradient (
    unit_id bigint NOT NULL,
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    slot integer NOT NULL,
    attempt integer NOT NULL,
    worker_id text NOT NULL COLLATE pg_catalog."C",
    image_count integer NOT NULL,
    micro_batch_count integer NOT NULL,
    discriminator_loss double precision NOT NULL,
    generator_loss double precision NOT NULL,
    real_accuracy double precision NOT NULL,
    fake_accuracy double precision NOT NULL,
    compute_seconds double precision NOT NULL,
    codec smallint NOT NULL,
    sha256 bytea NOT NULL,
    payload_bytes bigint NOT NULL,
    has_bytes boolean DEFAULT true NOT NULL,
    accepted_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE gannet.gradient_blob (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
PARTITION BY LIST (run_id);
ALTER TABLE ONLY gannet.gradient_blob ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.gradient_blob_43368440 (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
PARTITION BY LIST (((round % (8)::bigint)));
ALTER TABLE ONLY gannet.gradient_blob_43368440 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.gradient_blob_43368440_0 (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.gradient_blob_43368440_0 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.gradient_blob_43368440_1 (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.gradient_blob_43368440_1 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.gradient_blob_43368440_2 (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.gradient_blob_43368440_2 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.gradient_blob_43368440_3 (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.gradient_blob_43368440_3 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.gradient_blob_43368440_4 (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.gradient_blob_43368440_4 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.gradient_blob_43368440_5 (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.gradient_blob_43368440_5 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.gradient_blob_43368440_6 (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.gradient_blob_43368440_6 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.gradient_blob_43368440_7 (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.gradient_blob_43368440_7 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.ledger (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    unit_id bigint NOT NULL,
    attempt integer NOT NULL,
    worker_id text NOT NULL COLLATE pg_catalog."C",
    outcome smallint NOT NULL,
    noted_at timestamp with time zone NOT NULL
);

CREATE TABLE gannet.round_summary (
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    epoch bigint NOT NULL,
    gradient_count integer NOT NULL,
    image_count integer NOT NULL,
    discriminator_loss double precision NOT NULL,
    generator_loss double precision NOT NULL,
    real_accuracy double precision NOT NULL,
    fake_accuracy double precision NOT NULL,
    seconds double precision NOT NULL,
    published_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE gannet.run_change (
    run_id bigint NOT NULL,
    from_round bigint NOT NULL,
    config jsonb NOT NULL,
    reason text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE SEQUENCE gannet.run_number
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE gannet.run_number OWNED BY gannet.run.run_id;

CREATE TABLE gannet.schema_migration (
    file_name text NOT NULL,
    version integer,
    sha256 text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE gannet.work_unit (
    unit_id bigint NOT NULL,
    run_id bigint NOT NULL,
    round bigint NOT NULL,
    slot integer NOT NULL,
    image_count integer NOT NULL,
    image_indices bigint[],
    state gannet.unit_state DEFAULT 'ready'::gannet.unit_state NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    holder text COLLATE pg_catalog."C",
    claim_request text,
    lease_until timestamp with time zone,
    progress_at timestamp with time zone,
    micro_batches_done integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    failure_reason text DEFAULT ''::text NOT NULL,
    consumed boolean DEFAULT false NOT NULL,
    claimed_at timestamp with time zone,
    is_spare boolean DEFAULT false NOT NULL,
    wasted_attempt integer DEFAULT 0 NOT NULL,
    ready_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    stale_rounds smallint DEFAULT 0 NOT NULL,
    claimed_slot integer,
    failed_by text[] DEFAULT '{}'::text[] NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='500');

CREATE SEQUENCE gannet.unit_number
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE gannet.unit_number OWNED BY gannet.work_unit.unit_id;

CREATE TABLE gannet.weights (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    codec smallint NOT NULL,
    sha256 bytea NOT NULL,
    payload_bytes bigint NOT NULL,
    keep boolean NOT NULL,
    in_ring boolean DEFAULT true NOT NULL
);

CREATE TABLE gannet.weights_blob (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
PARTITION BY LIST (run_id);
ALTER TABLE ONLY gannet.weights_blob ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.weights_blob_43368440 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
PARTITION BY LIST (((version % (8)::bigint)));
ALTER TABLE ONLY gannet.weights_blob_43368440 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.weights_blob_43368440_0 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.weights_blob_43368440_0 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.weights_blob_43368440_1 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.weights_blob_43368440_1 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.weights_blob_43368440_2 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.weights_blob_43368440_2 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.weights_blob_43368440_3 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.weights_blob_43368440_3 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.weights_blob_43368440_4 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.weights_blob_43368440_4 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.weights_blob_43368440_5 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.weights_blob_43368440_5 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.weights_blob_43368440_6 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.weights_blob_43368440_6 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.weights_blob_43368440_7 (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
)
WITH (autovacuum_enabled='false');
ALTER TABLE ONLY gannet.weights_blob_43368440_7 ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.weights_kept_blob (
    run_id bigint NOT NULL,
    version bigint NOT NULL,
    seq integer NOT NULL,
    data bytea NOT NULL
);
ALTER TABLE ONLY gannet.weights_kept_blob ALTER COLUMN data SET STORAGE PLAIN;

CREATE TABLE gannet.worker (
    run_id bigint NOT NULL,
    worker_id text NOT NULL COLLATE pg_catalog."C",
    secret_sha256 bytea NOT NULL,
    incarnation bigint NOT NULL,
    display_name text NOT NULL,
    hardware text NOT NULL,
    accepted_unit_count bigint DEFAULT 0 NOT NULL,
    accepted_image_count bigint DEFAULT 0 NOT NULL,
    last_seen timestamp with time zone NOT NULL,
    signed_off boolean DEFAULT false NOT NULL,
    duplicate_unit_count bigint DEFAULT 0 NOT NULL,
    wasted_image_count bigint DEFAULT 0 NOT NULL,
    rejected_in_a_row integer DEFAULT 0 NOT NULL,
    removed_reason text
)
WITH (fillfactor='50');

ALTER TABLE ONLY gannet.adam_blob ATTACH PARTITION gannet.adam_blob_43368440 FOR VALUES IN ('43368440');

ALTER TABLE ONLY gannet.adam_blob_43368440 ATTACH PARTITION gannet.adam_blob_43368440_0 FOR VALUES IN ('0');

ALTER TABLE ONLY gannet.adam_blob_43368440 ATTACH PARTITION gannet.adam_blob_43368440_1 FOR VALUES IN ('1');

ALTER TABLE ONLY gannet.adam_blob_43368440 ATTACH PARTITION gannet.adam_blob_43368440_2 FOR VALUES IN ('2');

ALTER TABLE ONLY gannet.adam_blob_43368440 ATTACH PARTITION gannet.adam_blob_43368440_3 FOR VALUES IN ('3');

ALTER TABLE ONLY gannet.best_blob ATTACH PARTITION gannet.best_blob_43368440 FOR VALUES IN ('43368440');

ALTER TABLE ONLY gannet.best_blob_43368440 ATTACH PARTITION gannet.best_blob_43368440_0 FOR VALUES IN ('0');

ALTER TABLE ONLY gannet.best_blob_43368440 ATTACH PARTITION gannet.best_blob_43368440_1 FOR VALUES IN ('1');

ALTER TABLE ONLY gannet.gradient_blob ATTACH PARTITION gannet.gradient_blob_43368440 FOR VALUES IN ('43368440');

ALTER TABLE ONLY gannet.gradient_blob_43368440 ATTACH PARTITION gannet.gradient_blob_43368440_0 FOR VALUES IN ('0');

ALTER TABLE ONLY gannet.gradient_blob_43368440 ATTACH PARTITION gannet.gradient_blob_43368440_1 FOR VALUES IN ('1');

ALTER TABLE ONLY gannet.gradient_blob_43368440 ATTACH PARTITION gannet.gradient_blob_43368440_2 FOR VALUES IN ('2');

ALTER TABLE ONLY gannet.gradient_blob_43368440 ATTACH PARTITION gannet.gradient_blob_43368440_3 FOR VALUES IN ('3');

ALTER TABLE ONLY gannet.gradient_blob_43368440 ATTACH PARTITION gannet.gradient_blob_43368440_4 FOR VALUES IN ('4');

ALTER TABLE ONLY gannet.gradient_blob_43368440 ATTACH PARTITION gannet.gradient_blob_43368440_5 FOR VALUES IN ('5');

ALTER TABLE ONLY gannet.gradient_blob_43368440 ATTACH PARTITION gannet.gradient_blob_43368440_6 FOR VALUES IN ('6');

ALTER TABLE ONLY gannet.gradient_blob_43368440 ATTACH PARTITION gannet.gradient_blob_43368440_7 FOR VALUES IN ('7');

ALTER TABLE ONLY gannet.weights_blob ATTACH PARTITION gannet.weights_blob_43368440 FOR VALUES IN ('43368440');

ALTER TABLE ONLY gannet.weights_blob_43368440 ATTACH PARTITION gannet.weights_blob_43368440_0 FOR VALUES IN ('0');

ALTER TABLE ONLY gannet.weights_blob_43368440 ATTACH PARTITION gannet.weights_blob_43368440_1 FOR VALUES IN ('1');

ALTER TABLE ONLY gannet.weights_blob_43368440 ATTACH PARTITION gannet.weights_blob_43368440_2 FOR VALUES IN ('2');

ALTER TABLE ONLY gannet.weights_blob_43368440 ATTACH PARTITION gannet.weights_blob_43368440_3 FOR VALUES IN ('3');

ALTER TABLE ONLY gannet.weights_blob_43368440 ATTACH PARTITION gannet.weights_blob_43368440_4 FOR VALUES IN ('4');

ALTER TABLE ONLY gannet.weights_blob_43368440 ATTACH PARTITION gannet.weights_blob_43368440_5 FOR VALUES IN ('5');

ALTER TABLE ONLY gannet.weights_blob_43368440 ATTACH PARTITION gannet.weights_blob_43368440_6 FOR VALUES IN ('6');

ALTER TABLE ONLY gannet.weights_blob_43368440 ATTACH PARTITION gannet.weights_blob_43368440_7 FOR VALUES IN ('7');

ALTER TABLE ONLY gannet.run ALTER COLUMN run_id SET DEFAULT ((nextval('gannet.run_number'::regclass) << 24) | (floor((random() * ((1 << 24))::double precision)))::bigint);

ALTER TABLE ONLY gannet.work_unit ALTER COLUMN unit_id SET DEFAULT ((nextval('gannet.unit_number'::regclass) << 24) | (floor((random() * ((1 << 24))::double precision)))::bigint);

INSERT INTO gannet.accept_turn VALUES (43368440);

INSERT INTO gannet.adam_blob_43368440_0 VALUES (43368440, 0, 0, '\x800d0000000000007b2267656e657261746f722e6d61696e2e302e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b322c342c342c345d2c22646174615f6f666673657473223a5b302c3531325d7d2c2267656e657261746f722e6d61696e2e302e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b322c342c342c345d2c22646174615f6f666673657473223a5b3531322c313032345d7d2c2267656e657261746f722e6d61696e2e312e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b313032342c313034305d7d2c2267656e657261746f722e6d61696e2e312e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b313034302c313035365d7d2c2267656e657261746f722e6d61696e2e312e626961732e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b313035362c313037325d7d2c2267656e657261746f722e6d61696e2e312e626961732e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b313037322c313038385d7d2c2267656e657261746f722e6d61696e2e332e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b313038382c313630305d7d2c2267656e657261746f722e6d61696e2e332e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b313630302c323131325d7d2c2267656e657261746f722e6d61696e2e342e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323131322c323132305d7d2c2267656e657261746f722e6d61696e2e342e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323132302c323132385d7d2c2267656e657261746f722e6d61696e2e342e626961732e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323132382c323133365d7d2c2267656e657261746f722e6d61696e2e342e626961732e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323133362c323134345d7d2c2267656e657261746f722e6d61696e2e362e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b323134342c323237325d7d2c2267656e657261746f722e6d61696e2e362e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b323237322c323430305d7d2c2267656e657261746f722e6d61696e2e372e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323430302c323430345d7d2c2267656e657261746f722e6d61696e2e372e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323430342c323430385d7d2c2267656e657261746f722e6d61696e2e372e626961732e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323430382c323431325d7d2c2267656e657261746f722e6d61696e2e372e626961732e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323431322c323431365d7d2c2267656e657261746f722e6d61696e2e392e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b323431362c323630385d7d2c2267656e657261746f722e6d61696e2e392e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b323630382c323830305d7d2c226469736372696d696e61746f722e6d61696e2e302e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b323830302c323939325d7d2c226469736372696d696e61746f722e6d61696e2e302e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b323939322c333138345d7d2c226469736372696d696e61746f722e6d61696e2e322e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b333138342c333331325d7d2c226469736372696d696e61746f722e6d61696e2e322e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b333331322c333434305d7d2c226469736372696d696e61746f722e6d61696e2e332e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b333434302c333434385d7d2c226469736372696d696e61746f722e6d61696e2e332e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b333434382c333435365d7d2c226469736372696d696e61746f722e6d61696e2e332e626961732e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b333435362c333436345d7d2c226469736372696d696e61746f722e6d61696e2e332e626961732e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b333436342c333437325d7d2c226469736372696d696e61746f722e6d61696e2e352e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b333437322c333938345d7d2c226469736372696d696e61746f722e6d61696e2e352e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b333938342c343439365d7d2c226469736372696d696e61746f722e6d61696e2e362e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b343439362c343531325d7d2c226469736372696d696e61746f722e6d61696e2e362e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b343531322c343532385d7d2c226469736372696d696e61746f722e6d61696e2e362e626961732e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b343532382c343534345d7d2c226469736372696d696e61746f722e6d61696e2e362e626961732e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b343534342c343536305d7d2c226469736372696d696e61746f722e6d61696e2e382e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b312c342c342c345d2c22646174615f6f666673657473223a5b343536302c343831365d7d2c226469736372696d696e61746f722e6d61696e2e382e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b312c342c342c345d2c22646174615f6f666673657473223a5b343831362c353037325d7d2c2273746570223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b353037322c353038305d7d7d20000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000');
INSERT INTO gannet.adam_blob_43368440_0 VALUES (43368440, 0, 1, '\x00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000');

INSERT INTO gannet.adam_blob_43368440_1 VALUES (43368440, 1, 0, '\x800d0000000000007b2267656e657261746f722e6d61696e2e302e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b322c342c342c345d2c22646174615f6f666673657473223a5b302c3531325d7d2c2267656e657261746f722e6d61696e2e302e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b322c342c342c345d2c22646174615f6f666673657473223a5b3531322c313032345d7d2c2267656e657261746f722e6d61696e2e312e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b313032342c313034305d7d2c2267656e657261746f722e6d61696e2e312e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b313034302c313035365d7d2c2267656e657261746f722e6d61696e2e312e626961732e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b313035362c313037325d7d2c2267656e657261746f722e6d61696e2e312e626961732e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b313037322c313038385d7d2c2267656e657261746f722e6d61696e2e332e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b313038382c313630305d7d2c2267656e657261746f722e6d61696e2e332e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b313630302c323131325d7d2c2267656e657261746f722e6d61696e2e342e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323131322c323132305d7d2c2267656e657261746f722e6d61696e2e342e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323132302c323132385d7d2c2267656e657261746f722e6d61696e2e342e626961732e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323132382c323133365d7d2c2267656e657261746f722e6d61696e2e342e626961732e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323133362c323134345d7d2c2267656e657261746f722e6d61696e2e362e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b323134342c323237325d7d2c2267656e657261746f722e6d61696e2e362e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b323237322c323430305d7d2c2267656e657261746f722e6d61696e2e372e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323430302c323430345d7d2c2267656e657261746f722e6d61696e2e372e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323430342c323430385d7d2c2267656e657261746f722e6d61696e2e372e626961732e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323430382c323431325d7d2c2267656e657261746f722e6d61696e2e372e626961732e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323431322c323431365d7d2c2267656e657261746f722e6d61696e2e392e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b323431362c323630385d7d2c2267656e657261746f722e6d61696e2e392e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b323630382c323830305d7d2c226469736372696d696e61746f722e6d61696e2e302e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b323830302c323939325d7d2c226469736372696d696e61746f722e6d61696e2e302e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b323939322c333138345d7d2c226469736372696d696e61746f722e6d61696e2e322e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b333138342c333331325d7d2c226469736372696d696e61746f722e6d61696e2e322e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b333331322c333434305d7d2c226469736372696d696e61746f722e6d61696e2e332e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b333434302c333434385d7d2c226469736372696d696e61746f722e6d61696e2e332e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b333434382c333435365d7d2c226469736372696d696e61746f722e6d61696e2e332e626961732e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b333435362c333436345d7d2c226469736372696d696e61746f722e6d61696e2e332e626961732e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b333436342c333437325d7d2c226469736372696d696e61746f722e6d61696e2e352e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b333437322c333938345d7d2c226469736372696d696e61746f722e6d61696e2e352e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b333938342c343439365d7d2c226469736372696d696e61746f722e6d61696e2e362e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b343439362c343531325d7d2c226469736372696d696e61746f722e6d61696e2e362e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b343531322c343532385d7d2c226469736372696d696e61746f722e6d61696e2e362e626961732e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b343532382c343534345d7d2c226469736372696d696e61746f722e6d61696e2e362e626961732e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b343534342c343536305d7d2c226469736372696d696e61746f722e6d61696e2e382e7765696768742e6578705f617667223a7b226474797065223a22463332222c227368617065223a5b312c342c342c345d2c22646174615f6f666673657473223a5b343536302c343831365d7d2c226469736372696d696e61746f722e6d61696e2e382e7765696768742e6578705f6176675f7371223a7b226474797065223a22463332222c227368617065223a5b312c342c342c345d2c22646174615f6f666673657473223a5b343831362c353037325d7d2c2273746570223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b353037322c353038305d7d7d200000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f');
INSERT INTO gannet.adam_blob_43368440_1 VALUES (43368440, 1, 1, '\x0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000000000000000');

INSERT INTO gannet.adam_state VALUES (43368440, 1, 1, '\x5a7239d108a0e57bacccd3c698dad70a3bf00c12032b82578a5c5ebdf6290b91', 8544);

INSERT INTO gannet.best_blob_43368440_1 VALUES (43368440, 1, 0, '\x380b0000000000007b2267656e657261746f722e6d61696e2e302e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c342c342c345d2c22646174615f6f666673657473223a5b302c3531325d7d2c2267656e657261746f722e6d61696e2e312e776569676874223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3531322c3532385d7d2c2267656e657261746f722e6d61696e2e312e62696173223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3532382c3534345d7d2c2267656e657261746f722e6d61696e2e312e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3534342c3536305d7d2c2267656e657261746f722e6d61696e2e312e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3536302c3537365d7d2c2267656e657261746f722e6d61696e2e312e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b3537362c3538345d7d2c2267656e657261746f722e6d61696e2e332e776569676874223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b3538342c313039365d7d2c2267656e657261746f722e6d61696e2e342e776569676874223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313039362c313130345d7d2c2267656e657261746f722e6d61696e2e342e62696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313130342c313131325d7d2c2267656e657261746f722e6d61696e2e342e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313131322c313132305d7d2c2267656e657261746f722e6d61696e2e342e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313132302c313132385d7d2c2267656e657261746f722e6d61696e2e342e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b313132382c313133365d7d2c2267656e657261746f722e6d61696e2e362e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b313133362c313236345d7d2c2267656e657261746f722e6d61696e2e372e776569676874223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313236342c313236385d7d2c2267656e657261746f722e6d61696e2e372e62696173223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313236382c313237325d7d2c2267656e657261746f722e6d61696e2e372e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313237322c313237365d7d2c2267656e657261746f722e6d61696e2e372e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313237362c313238305d7d2c2267656e657261746f722e6d61696e2e372e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b313238302c313238385d7d2c2267656e657261746f722e6d61696e2e392e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b313238382c313438305d7d2c226469736372696d696e61746f722e6d61696e2e302e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b313438302c313637325d7d2c226469736372696d696e61746f722e6d61696e2e322e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b313637322c313830305d7d2c226469736372696d696e61746f722e6d61696e2e332e776569676874223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313830302c313830385d7d2c226469736372696d696e61746f722e6d61696e2e332e62696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313830382c313831365d7d2c226469736372696d696e61746f722e6d61696e2e332e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313831362c313832345d7d2c226469736372696d696e61746f722e6d61696e2e332e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313832342c313833325d7d2c226469736372696d696e61746f722e6d61696e2e332e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b313833322c313834305d7d2c226469736372696d696e61746f722e6d61696e2e352e776569676874223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b313834302c323335325d7d2c226469736372696d696e61746f722e6d61696e2e362e776569676874223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323335322c323336385d7d2c226469736372696d696e61746f722e6d61696e2e362e62696173223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323336382c323338345d7d2c226469736372696d696e61746f722e6d61696e2e362e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323338342c323430305d7d2c226469736372696d696e61746f722e6d61696e2e362e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323430302c323431365d7d2c226469736372696d696e61746f722e6d61696e2e362e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b323431362c323432345d7d2c226469736372696d696e61746f722e6d61696e2e382e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c342c342c345d2c22646174615f6f666673657473223a5b323432342c323638305d7d7d202020200000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f00000000000000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f00000000000000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f00000000000000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f00000000000000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f00000000000000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f');

INSERT INTO gannet.best_weights VALUES (43368440, 1, 0.25, 1, '\x681454f5fdaf0d0f33ccc68789243a36ca79b5148e64f1ed1f945610fa860d14', 5560, 1);

INSERT INTO gannet.gradient VALUES (42443838, 43368440, 1, 0, 1, '00000000000000000000000000000001', 4, 2, 1.25, 0.75, 0.5, 0.25, 0.125, 1, '\x38b265689b4a13682bc3b73ddc1409a57072e078a10d46fcc185ed452f938c9f', 5504, true, '2026-11-30 00:13:43.331916+00');

INSERT INTO gannet.gradient_blob_43368440_1 VALUES (43368440, 1, 42443838, 1, 0, '\xf80a0000000000007b2267656e657261746f722e6d61696e2e302e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c342c342c345d2c22646174615f6f666673657473223a5b302c3531325d7d2c2267656e657261746f722e6d61696e2e312e776569676874223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3531322c3532385d7d2c2267656e657261746f722e6d61696e2e312e62696173223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3532382c3534345d7d2c2267656e657261746f722e6d61696e2e332e776569676874223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b3534342c313035365d7d2c2267656e657261746f722e6d61696e2e342e776569676874223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313035362c313036345d7d2c2267656e657261746f722e6d61696e2e342e62696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313036342c313037325d7d2c2267656e657261746f722e6d61696e2e362e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b313037322c313230305d7d2c2267656e657261746f722e6d61696e2e372e776569676874223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313230302c313230345d7d2c2267656e657261746f722e6d61696e2e372e62696173223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313230342c313230385d7d2c2267656e657261746f722e6d61696e2e392e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b313230382c313430305d7d2c226469736372696d696e61746f722e6d61696e2e302e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b313430302c313539325d7d2c226469736372696d696e61746f722e6d61696e2e322e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b313539322c313732305d7d2c226469736372696d696e61746f722e6d61696e2e332e776569676874223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313732302c313732385d7d2c226469736372696d696e61746f722e6d61696e2e332e62696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313732382c313733365d7d2c226469736372696d696e61746f722e6d61696e2e352e776569676874223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b313733362c323234385d7d2c226469736372696d696e61746f722e6d61696e2e362e776569676874223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323234382c323236345d7d2c226469736372696d696e61746f722e6d61696e2e362e62696173223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323236342c323238305d7d2c226469736372696d696e61746f722e6d61696e2e382e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c342c342c345d2c22646174615f6f666673657473223a5b323238302c323533365d7d2c2267656e657261746f722e6d61696e2e312e62617463685f6d65616e2e66616b65223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323533362c323535325d7d2c2267656e657261746f722e6d61696e2e312e62617463685f7661722e66616b65223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323535322c323536385d7d2c2267656e657261746f722e6d61696e2e342e62617463685f6d65616e2e66616b65223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323536382c323537365d7d2c2267656e657261746f722e6d61696e2e342e62617463685f7661722e66616b65223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323537362c323538345d7d2c2267656e657261746f722e6d61696e2e372e62617463685f6d65616e2e66616b65223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323538342c323538385d7d2c2267656e657261746f722e6d61696e2e372e62617463685f7661722e66616b65223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323538382c323539325d7d2c226469736372696d696e61746f722e6d61696e2e332e62617463685f6d65616e2e7265616c223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323539322c323630305d7d2c226469736372696d696e61746f722e6d61696e2e332e62617463685f7661722e7265616c223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323630302c323630385d7d2c226469736372696d696e61746f722e6d61696e2e332e62617463685f6d65616e2e66616b65223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323630382c323631365d7d2c226469736372696d696e61746f722e6d61696e2e332e62617463685f7661722e66616b65223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323631362c323632345d7d2c226469736372696d696e61746f722e6d61696e2e362e62617463685f6d65616e2e7265616c223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323632342c323634305d7d2c226469736372696d696e61746f722e6d61696e2e362e62617463685f7661722e7265616c223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323634302c323635365d7d2c226469736372696d696e61746f722e6d61696e2e362e62617463685f6d65616e2e66616b65223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323635362c323637325d7d2c226469736372696d696e61746f722e6d61696e2e362e62617463685f7661722e66616b65223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323637322c323638385d7d7d2020200000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f');
INSERT INTO gannet.gradient_blob_43368440_1 VALUES (43368440, 1, 66978604, 1, 0, '\xf80a0000000000007b2267656e657261746f722e6d61696e2e302e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c342c342c345d2c22646174615f6f666673657473223a5b302c3531325d7d2c2267656e657261746f722e6d61696e2e312e776569676874223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3531322c3532385d7d2c2267656e657261746f722e6d61696e2e312e62696173223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3532382c3534345d7d2c2267656e657261746f722e6d61696e2e332e776569676874223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b3534342c313035365d7d2c2267656e657261746f722e6d61696e2e342e776569676874223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313035362c313036345d7d2c2267656e657261746f722e6d61696e2e342e62696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313036342c313037325d7d2c2267656e657261746f722e6d61696e2e362e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b313037322c313230305d7d2c2267656e657261746f722e6d61696e2e372e776569676874223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313230302c313230345d7d2c2267656e657261746f722e6d61696e2e372e62696173223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313230342c313230385d7d2c2267656e657261746f722e6d61696e2e392e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b313230382c313430305d7d2c226469736372696d696e61746f722e6d61696e2e302e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b313430302c313539325d7d2c226469736372696d696e61746f722e6d61696e2e322e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b313539322c313732305d7d2c226469736372696d696e61746f722e6d61696e2e332e776569676874223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313732302c313732385d7d2c226469736372696d696e61746f722e6d61696e2e332e62696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313732382c313733365d7d2c226469736372696d696e61746f722e6d61696e2e352e776569676874223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b313733362c323234385d7d2c226469736372696d696e61746f722e6d61696e2e362e776569676874223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323234382c323236345d7d2c226469736372696d696e61746f722e6d61696e2e362e62696173223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323236342c323238305d7d2c226469736372696d696e61746f722e6d61696e2e382e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c342c342c345d2c22646174615f6f666673657473223a5b323238302c323533365d7d2c2267656e657261746f722e6d61696e2e312e62617463685f6d65616e2e66616b65223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323533362c323535325d7d2c2267656e657261746f722e6d61696e2e312e62617463685f7661722e66616b65223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323535322c323536385d7d2c2267656e657261746f722e6d61696e2e342e62617463685f6d65616e2e66616b65223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323536382c323537365d7d2c2267656e657261746f722e6d61696e2e342e62617463685f7661722e66616b65223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323537362c323538345d7d2c2267656e657261746f722e6d61696e2e372e62617463685f6d65616e2e66616b65223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323538342c323538385d7d2c2267656e657261746f722e6d61696e2e372e62617463685f7661722e66616b65223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b323538382c323539325d7d2c226469736372696d696e61746f722e6d61696e2e332e62617463685f6d65616e2e7265616c223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323539322c323630305d7d2c226469736372696d696e61746f722e6d61696e2e332e62617463685f7661722e7265616c223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323630302c323630385d7d2c226469736372696d696e61746f722e6d61696e2e332e62617463685f6d65616e2e66616b65223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323630382c323631365d7d2c226469736372696d696e61746f722e6d61696e2e332e62617463685f7661722e66616b65223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b323631362c323632345d7d2c226469736372696d696e61746f722e6d61696e2e362e62617463685f6d65616e2e7265616c223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323632342c323634305d7d2c226469736372696d696e61746f722e6d61696e2e362e62617463685f7661722e7265616c223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323634302c323635365d7d2c226469736372696d696e61746f722e6d61696e2e362e62617463685f6d65616e2e66616b65223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323635362c323637325d7d2c226469736372696d696e61746f722e6d61696e2e362e62617463685f7661722e66616b65223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323637322c323638385d7d7d2020200000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f');

INSERT INTO gannet.ledger VALUES (43368440, 1, 42443838, 1, '00000000000000000000000000000001', 1, '2026-11-30 00:13:43.331916+00');
INSERT INTO gannet.ledger VALUES (43368440, 1, 66978604, 1, '00000000000000000000000000000003', 1, '2026-11-30 00:13:43.341701+00');
INSERT INTO gannet.ledger VALUES (43368440, 1, 66978604, 1, '00000000000000000000000000000003', 104, '2026-11-30 00:13:43.343722+00');
INSERT INTO gannet.ledger VALUES (43368440, 2, 89573788, 1, '00000000000000000000000000000002', 102, '2026-11-30 00:13:43.373964+00');

INSERT INTO gannet.round_summary VALUES (43368440, 1, 0, 0, 0, 1.5, 0.5, 0.5, 0.25, 2.5, '2026-11-30 00:13:43.355306+00');

INSERT INTO gannet.run VALUES (43368440, 'tiny', '{"data": {"kind": "procedural", "digest": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd", "description": "64 images for tests", "image_count": "64"}, "flip": false, "loss": "bce", "name": "tiny", "seed": "7", "beta1": 0.5, "beta2": 0.999, "model": {"kind": "dcgan", "base_width": 1, "image_size": 32, "latent_dim": 2}, "quorum": 2, "augment": "", "epsilon": 0.00000001, "ema_decay": 0, "real_label": 1, "micro_batch": 2, "round_count": "100", "spare_after": 0, "stale_weight": 0.5, "learning_rate": 0.0002, "lease_seconds": 60, "gradient_codec": 1, "images_per_unit": 4, "units_per_round": 3, "plan_origin_round": "0", "plan_origin_position": "0", "round_deadline_seconds": 0, "learning_rate_generator": 0, "learning_rate_discriminator": 0}', 'running', '', 1, 7, '00:01:00', 2, 'procedural', 64, 'dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', NULL, 1, NULL, '2026-11-30 00:13:43.278564+00', 4, 4160, 32667941, 1, 1054136);

INSERT INTO gannet.run_change VALUES (43368440, 3, '{"data": {"kind": "procedural", "digest": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd", "description": "64 images for tests", "image_count": "64"}, "flip": false, "loss": "bce", "name": "tiny", "seed": "7", "beta1": 0.5, "beta2": 0.999, "model": {"kind": "dcgan", "base_width": 1, "image_size": 32, "latent_dim": 2}, "quorum": 2, "augment": "", "epsilon": 0.00000001, "ema_decay": 0, "real_label": 1, "micro_batch": 2, "round_count": "100", "spare_after": 4, "stale_weight": 0.5, "learning_rate": 0.0002, "lease_seconds": 60, "gradient_codec": 1, "images_per_unit": 4, "units_per_round": 3, "plan_origin_round": "3", "plan_origin_position": "24", "round_deadline_seconds": 0, "learning_rate_generator": 0, "learning_rate_discriminator": 0}', 'more patience', '2026-11-30 00:13:43.371965+00');

INSERT INTO gannet.schema_migration VALUES ('V0001__create_schema.sql', 1, '232680baaecbe54de4a1f7d355953a53b06d3b48fe2ece034d30feeaef3fd2ba', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0002__spares_and_changes.sql', 2, '86e5f8dc91f4da119ba477c8c189cb127016edde79d9fd824dcd5808e819e455', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0003__return_delay.sql', 3, '07e67af10192acf9baa9204d78f45389dcbb1a77a6a4791d8282cbde1f2b08d8', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0004__best_weights.sql', 4, 'f07e89715f77e018f2aa578ab6ade817ec74e4eeffc593a9a48956ec34804b12', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0005__settings_version.sql', 5, '564a8a1a9bfc311717173a359c3f3c6bc93f33fdae66737bef34bfcbca1b8668', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0006__ledger.sql', 6, '321dbd15bf08414054bacc5c7f553fc6c077cdc5d0d937bccbd39635b07289e8', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0007__ids_that_never_come_again.sql', 7, '8fa440c13f86bb180949231ea6ebd7c3f338d15ddf623367dc6031233c2309df', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0008__stale_work.sql', 8, '7d7d1b7d0d568fdcf1f4b7c761c185645468b1779964e7516a636afd3315bdc4', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0009__removed_workers.sql', 9, 'e36a910a9d0352d9c305d604e33f967b613d310a306e9cfbbc40138afe7247a5', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0010__locks_that_nobody_names.sql', 10, '2a09ded0d1e7eeab77dcd634c1d66e3116a4935e766abcbff6e4bf23575a8304', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0011__remember_who_failed.sql', 11, 'e21f1dc78112ba5033d41ee1286b4f59b1d7a6067db85b96cc962caad2bcb1e1', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('V0012__create_gateway_reports.sql', 12, '97d0a5d0f26bae7e88bfdf519a146322616dc8c1292afdc5adc6a3805b9df00c', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('R__exchange_functions.sql', NULL, 'e30b4dc98b7543f47c3a76d3f2c77265b5ca2331995a98e011f7f75a466ee4e9', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('R__plain_text.sql', NULL, '42c320b1ed4ba7096f22f6ed90883aedf048adc2d2b08440073291ab19deed64', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('R__session_functions.sql', NULL, '75c5762421150268758e94d23fb9d6cde71bb82de4037e3f6c0151276ba8f844', '2026-11-30 00:13:43.058189+00');
INSERT INTO gannet.schema_migration VALUES ('R__store_functions.sql', NULL, 'ecd1916d380f9acc082884e3eb46a5b8a932f0ea6d938d1404ccbf73ad41e9b5', '2026-11-30 00:13:43.058189+00');

INSERT INTO gannet.weights VALUES (43368440, 0, 1, '\xc97c5163154afb241c404fb8732acdc97e566d482cfa1df7f741f71f0cab8233', 5560, false, true);
INSERT INTO gannet.weights VALUES (43368440, 1, 1, '\x681454f5fdaf0d0f33ccc68789243a36ca79b5148e64f1ed1f945610fa860d14', 5560, false, true);

INSERT INTO gannet.weights_blob_43368440_0 VALUES (43368440, 0, 0, '\x380b0000000000007b2267656e657261746f722e6d61696e2e302e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c342c342c345d2c22646174615f6f666673657473223a5b302c3531325d7d2c2267656e657261746f722e6d61696e2e312e776569676874223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3531322c3532385d7d2c2267656e657261746f722e6d61696e2e312e62696173223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3532382c3534345d7d2c2267656e657261746f722e6d61696e2e312e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3534342c3536305d7d2c2267656e657261746f722e6d61696e2e312e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3536302c3537365d7d2c2267656e657261746f722e6d61696e2e312e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b3537362c3538345d7d2c2267656e657261746f722e6d61696e2e332e776569676874223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b3538342c313039365d7d2c2267656e657261746f722e6d61696e2e342e776569676874223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313039362c313130345d7d2c2267656e657261746f722e6d61696e2e342e62696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313130342c313131325d7d2c2267656e657261746f722e6d61696e2e342e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313131322c313132305d7d2c2267656e657261746f722e6d61696e2e342e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313132302c313132385d7d2c2267656e657261746f722e6d61696e2e342e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b313132382c313133365d7d2c2267656e657261746f722e6d61696e2e362e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b313133362c313236345d7d2c2267656e657261746f722e6d61696e2e372e776569676874223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313236342c313236385d7d2c2267656e657261746f722e6d61696e2e372e62696173223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313236382c313237325d7d2c2267656e657261746f722e6d61696e2e372e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313237322c313237365d7d2c2267656e657261746f722e6d61696e2e372e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313237362c313238305d7d2c2267656e657261746f722e6d61696e2e372e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b313238302c313238385d7d2c2267656e657261746f722e6d61696e2e392e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b313238382c313438305d7d2c226469736372696d696e61746f722e6d61696e2e302e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b313438302c313637325d7d2c226469736372696d696e61746f722e6d61696e2e322e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b313637322c313830305d7d2c226469736372696d696e61746f722e6d61696e2e332e776569676874223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313830302c313830385d7d2c226469736372696d696e61746f722e6d61696e2e332e62696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313830382c313831365d7d2c226469736372696d696e61746f722e6d61696e2e332e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313831362c313832345d7d2c226469736372696d696e61746f722e6d61696e2e332e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313832342c313833325d7d2c226469736372696d696e61746f722e6d61696e2e332e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b313833322c313834305d7d2c226469736372696d696e61746f722e6d61696e2e352e776569676874223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b313834302c323335325d7d2c226469736372696d696e61746f722e6d61696e2e362e776569676874223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323335322c323336385d7d2c226469736372696d696e61746f722e6d61696e2e362e62696173223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323336382c323338345d7d2c226469736372696d696e61746f722e6d61696e2e362e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323338342c323430305d7d2c226469736372696d696e61746f722e6d61696e2e362e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323430302c323431365d7d2c226469736372696d696e61746f722e6d61696e2e362e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b323431362c323432345d7d2c226469736372696d696e61746f722e6d61696e2e382e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c342c342c345d2c22646174615f6f666673657473223a5b323432342c323638305d7d7d2020202000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000');

INSERT INTO gannet.weights_blob_43368440_1 VALUES (43368440, 1, 0, '\x380b0000000000007b2267656e657261746f722e6d61696e2e302e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c342c342c345d2c22646174615f6f666673657473223a5b302c3531325d7d2c2267656e657261746f722e6d61696e2e312e776569676874223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3531322c3532385d7d2c2267656e657261746f722e6d61696e2e312e62696173223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3532382c3534345d7d2c2267656e657261746f722e6d61696e2e312e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3534342c3536305d7d2c2267656e657261746f722e6d61696e2e312e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b3536302c3537365d7d2c2267656e657261746f722e6d61696e2e312e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b3537362c3538345d7d2c2267656e657261746f722e6d61696e2e332e776569676874223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b3538342c313039365d7d2c2267656e657261746f722e6d61696e2e342e776569676874223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313039362c313130345d7d2c2267656e657261746f722e6d61696e2e342e62696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313130342c313131325d7d2c2267656e657261746f722e6d61696e2e342e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313131322c313132305d7d2c2267656e657261746f722e6d61696e2e342e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313132302c313132385d7d2c2267656e657261746f722e6d61696e2e342e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b313132382c313133365d7d2c2267656e657261746f722e6d61696e2e362e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b313133362c313236345d7d2c2267656e657261746f722e6d61696e2e372e776569676874223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313236342c313236385d7d2c2267656e657261746f722e6d61696e2e372e62696173223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313236382c313237325d7d2c2267656e657261746f722e6d61696e2e372e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313237322c313237365d7d2c2267656e657261746f722e6d61696e2e372e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b315d2c22646174615f6f666673657473223a5b313237362c313238305d7d2c2267656e657261746f722e6d61696e2e372e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b313238302c313238385d7d2c2267656e657261746f722e6d61696e2e392e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b313238382c313438305d7d2c226469736372696d696e61746f722e6d61696e2e302e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c332c342c345d2c22646174615f6f666673657473223a5b313438302c313637325d7d2c226469736372696d696e61746f722e6d61696e2e322e776569676874223a7b226474797065223a22463332222c227368617065223a5b322c312c342c345d2c22646174615f6f666673657473223a5b313637322c313830305d7d2c226469736372696d696e61746f722e6d61696e2e332e776569676874223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313830302c313830385d7d2c226469736372696d696e61746f722e6d61696e2e332e62696173223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313830382c313831365d7d2c226469736372696d696e61746f722e6d61696e2e332e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313831362c313832345d7d2c226469736372696d696e61746f722e6d61696e2e332e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b325d2c22646174615f6f666673657473223a5b313832342c313833325d7d2c226469736372696d696e61746f722e6d61696e2e332e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b313833322c313834305d7d2c226469736372696d696e61746f722e6d61696e2e352e776569676874223a7b226474797065223a22463332222c227368617065223a5b342c322c342c345d2c22646174615f6f666673657473223a5b313834302c323335325d7d2c226469736372696d696e61746f722e6d61696e2e362e776569676874223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323335322c323336385d7d2c226469736372696d696e61746f722e6d61696e2e362e62696173223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323336382c323338345d7d2c226469736372696d696e61746f722e6d61696e2e362e72756e6e696e675f6d65616e223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323338342c323430305d7d2c226469736372696d696e61746f722e6d61696e2e362e72756e6e696e675f766172223a7b226474797065223a22463332222c227368617065223a5b345d2c22646174615f6f666673657473223a5b323430302c323431365d7d2c226469736372696d696e61746f722e6d61696e2e362e6e756d5f626174636865735f747261636b6564223a7b226474797065223a22493634222c227368617065223a5b5d2c22646174615f6f666673657473223a5b323431362c323432345d7d2c226469736372696d696e61746f722e6d61696e2e382e776569676874223a7b226474797065223a22463332222c227368617065223a5b312c342c342c345d2c22646174615f6f666673657473223a5b323432342c323638305d7d7d202020200000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f00000000000000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f00000000000000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f00000000000000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f00000000000000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f00000000000000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f');

INSERT INTO gannet.work_unit VALUES (42443838, 43368440, 1, 0, 4, NULL, 'done', 1, '00000000000000000000000000000001', 'cf29bb4fbf6bfa17b1aa56d398334a38', '2026-11-30 00:14:43.327756+00', '2026-11-30 00:13:43.327756+00', 0, 0, '', true, '2026-11-30 00:13:43.327756+00', false, 0, '-infinity', 0, NULL, '{}');
INSERT INTO gannet.work_unit VALUES (66978604, 43368440, 1, 1, 4, NULL, 'closed', 1, NULL, '45b288f98dd8cf8fd3f4aea4a6a0bfde', NULL, '2026-11-30 00:13:43.340569+00', 0, 1, 'not finite', false, '2026-11-30 00:13:43.340569+00', false, 0, '2026-11-30 00:13:43.343214+00', 0, NULL, '{00000000000000000000000000000003}');
INSERT INTO gannet.work_unit VALUES (68760469, 43368440, 1, 2, 4, NULL, 'closed', 0, NULL, NULL, NULL, NULL, 0, 0, '', false, NULL, false, 0, '-infinity', 0, NULL, '{}');
INSERT INTO gannet.work_unit VALUES (107406870, 43368440, 2, 1, 4, '{25,37,60,19}', 'ready', 0, NULL, NULL, NULL, NULL, 0, 0, '', false, NULL, false, 0, '-infinity', 0, NULL, '{}');
INSERT INTO gannet.work_unit VALUES (119746466, 43368440, 2, 2, 4, '{31,56,26,36}', 'ready', 0, NULL, NULL, NULL, NULL, 0, 0, '', false, NULL, false, 0, '-infinity', 0, NULL, '{}');
INSERT INTO gannet.work_unit VALUES (89573788, 43368440, 2, 0, 4, '{45,38,47,32}', 'leased', 2, '00000000000000000000000000000002', '7f18d4bf21d2cd068f5e63f7088b3183', '2026-11-30 00:13:58.37413+00', '2026-11-30 00:13:43.37413+00', 0, 0, '', false, '2026-11-30 00:13:43.37413+00', false, 0, '-infinity', 0, NULL, '{}');

INSERT INTO gannet.worker VALUES (43368440, '00000000000000000000000000000002', '\xa58321de9cc775161e3abdb93db64ba8452b860e45ac376dca5d6da3bcadefc5', 1, 'worker 0002', 'cpu, 2 threads', 0, 0, '2026-11-30 00:13:43.326546+00', false, 0, 0, 0, NULL);
INSERT INTO gannet.worker VALUES (43368440, '00000000000000000000000000000001', '\xb7dc2d55cfe1bba580d93a25e1ad309066c0b1d359cf52abf75ca1b7b3327240', 1, 'worker 0001', 'cpu, 2 threads', 1, 4, '2026-11-30 00:13:43.331916+00', false, 0, 0, 0, NULL);
INSERT INTO gannet.worker VALUES (43368440, '00000000000000000000000000000003', '\xe4ba44ddae0b14aa58e46e5a8107d99aae8d9e4d40d08ec415ade0aee2e30efc', 1, 'worker 0003', 'cpu, 2 threads', 0, 0, '2026-11-30 00:13:43.341701+00', true, 0, 0, 1, 'sends noise');

SELECT pg_catalog.setval('gannet.run_number', 2, true);

SELECT pg_catalog.setval('gannet.unit_number', 7, true);

ALTER TABLE ONLY gannet.accept_turn
    ADD CONSTRAINT accept_turn_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY gannet.adam_state
    ADD CONSTRAINT adam_state_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY gannet.best_weights
    ADD CONSTRAINT best_weights_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY gannet.gateway_report
    ADD CONSTRAINT gateway_report_pkey PRIMARY KEY (gateway);

ALTER TABLE ONLY gannet.gradient
    ADD CONSTRAINT gradient_pkey PRIMARY KEY (unit_id);

ALTER TABLE ONLY gannet.gradient
    ADD CONSTRAINT gradient_run_id_round_slot_key UNIQUE (run_id, round, slot);

ALTER TABLE ONLY gannet.round_summary
    ADD CONSTRAINT round_summary_pkey PRIMARY KEY (run_id, round);

ALTER TABLE ONLY gannet.run_change
    ADD CONSTRAINT run_change_pkey PRIMARY KEY (run_id, from_round);

ALTER TABLE ONLY gannet.run
    ADD CONSTRAINT run_name_key UNIQUE (name);

ALTER TABLE ONLY gannet.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY gannet.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (file_name);

ALTER TABLE ONLY gannet.schema_migration
    ADD CONSTRAINT schema_migration_version_key UNIQUE (version);

ALTER TABLE ONLY gannet.weights_kept_blob
    ADD CONSTRAINT weights_kept_blob_pkey PRIMARY KEY (run_id, version, seq);

ALTER TABLE ONLY gannet.weights
    ADD CONSTRAINT weights_pkey PRIMARY KEY (run_id, version);

ALTER TABLE ONLY gannet.work_unit
    ADD CONSTRAINT work_unit_pkey PRIMARY KEY (unit_id);

ALTER TABLE ONLY gannet.worker
    ADD CONSTRAINT worker_pkey PRIMARY KEY (run_id, worker_id);

CREATE UNIQUE INDEX adam_blob_43368440_0_version_seq_idx ON gannet.adam_blob_43368440_0 USING btree (version, seq);

CREATE UNIQUE INDEX adam_blob_43368440_1_version_seq_idx ON gannet.adam_blob_43368440_1 USING btree (version, seq);

CREATE UNIQUE INDEX adam_blob_43368440_2_version_seq_idx ON gannet.adam_blob_43368440_2 USING btree (version, seq);

CREATE UNIQUE INDEX adam_blob_43368440_3_version_seq_idx ON gannet.adam_blob_43368440_3 USING btree (version, seq);

CREATE UNIQUE INDEX best_blob_43368440_0_turn_seq_idx ON gannet.best_blob_43368440_0 USING btree (turn, seq);

CREATE UNIQUE INDEX best_blob_43368440_1_turn_seq_idx ON gannet.best_blob_43368440_1 USING btree (turn, seq);

CREATE UNIQUE INDEX gradient_blob_43368440_0_unit_id_attempt_seq_idx ON gannet.gradient_blob_43368440_0 USING btree (unit_id, attempt, seq);

CREATE UNIQUE INDEX gradient_blob_43368440_1_unit_id_attempt_seq_idx ON gannet.gradient_blob_43368440_1 USING btree (unit_id, attempt, seq);

CREATE UNIQUE INDEX gradient_blob_43368440_2_unit_id_attempt_seq_idx ON gannet.gradient_blob_43368440_2 USING btree (unit_id, attempt, seq);

CREATE UNIQUE INDEX gradient_blob_43368440_3_unit_id_attempt_seq_idx ON gannet.gradient_blob_43368440_3 USING btree (unit_id, attempt, seq);

CREATE UNIQUE INDEX gradient_blob_43368440_4_unit_id_attempt_seq_idx ON gannet.gradient_blob_43368440_4 USING btree (unit_id, attempt, seq);

CREATE UNIQUE INDEX gradient_blob_43368440_5_unit_id_attempt_seq_idx ON gannet.gradient_blob_43368440_5 USING btree (unit_id, attempt, seq);

CREATE UNIQUE INDEX gradient_blob_43368440_6_unit_id_attempt_seq_idx ON gannet.gradient_blob_43368440_6 USING btree (unit_id, attempt, seq);

CREATE UNIQUE INDEX gradient_blob_43368440_7_unit_id_attempt_seq_idx ON gannet.gradient_blob_43368440_7 USING btree (unit_id, attempt, seq);

CREATE INDEX gradient_with_bytes ON gannet.gradient USING btree (run_id, round) WHERE has_bytes;

CREATE INDEX ledger_round ON gannet.ledger USING btree (run_id, round);

CREATE UNIQUE INDEX weights_blob_43368440_0_version_seq_idx ON gannet.weights_blob_43368440_0 USING btree (version, seq);

CREATE UNIQUE INDEX weights_blob_43368440_1_version_seq_idx ON gannet.weights_blob_43368440_1 USING btree (version, seq);

CREATE UNIQUE INDEX weights_blob_43368440_2_version_seq_idx ON gannet.weights_blob_43368440_2 USING btree (version, seq);

CREATE UNIQUE INDEX weights_blob_43368440_3_version_seq_idx ON gannet.weights_blob_43368440_3 USING btree (version, seq);

CREATE UNIQUE INDEX weights_blob_43368440_4_version_seq_idx ON gannet.weights_blob_43368440_4 USING btree (version, seq);

CREATE UNIQUE INDEX weights_blob_43368440_5_version_seq_idx ON gannet.weights_blob_43368440_5 USING btree (version, seq);

CREATE UNIQUE INDEX weights_blob_43368440_6_version_seq_idx ON gannet.weights_blob_43368440_6 USING btree (version, seq);

CREATE UNIQUE INDEX weights_blob_43368440_7_version_seq_idx ON gannet.weights_blob_43368440_7 USING btree (version, seq);

CREATE INDEX work_unit_leased ON gannet.work_unit USING btree (run_id, holder) WHERE (state = 'leased'::gannet.unit_state);

CREATE INDEX work_unit_ready ON gannet.work_unit USING btree (run_id, round, slot) WHERE (state = 'ready'::gannet.unit_state);

CREATE INDEX work_unit_round ON gannet.work_unit USING btree (run_id, round, slot);

ALTER TABLE ONLY gannet.accept_turn
    ADD CONSTRAINT accept_turn_run_id_fkey FOREIGN KEY (run_id) REFERENCES gannet.run(run_id) ON DELETE CASCADE;

ALTER TABLE ONLY gannet.adam_state
    ADD CONSTRAINT adam_state_run_id_fkey FOREIGN KEY (run_id) REFERENCES gannet.run(run_id);

ALTER TABLE ONLY gannet.best_weights
    ADD CONSTRAINT best_weights_run_id_fkey FOREIGN KEY (run_id) REFERENCES gannet.run(run_id);

ALTER TABLE ONLY gannet.gradient
    ADD CONSTRAINT gradient_unit_id_fkey FOREIGN KEY (unit_id) REFERENCES gannet.work_unit(unit_id);

ALTER TABLE ONLY gannet.round_summary
    ADD CONSTRAINT round_summary_run_id_fkey FOREIGN KEY (run_id) REFERENCES gannet.run(run_id);

ALTER TABLE ONLY gannet.run_change
    ADD CONSTRAINT run_change_run_id_fkey FOREIGN KEY (run_id) REFERENCES gannet.run(run_id);

ALTER TABLE ONLY gannet.weights
    ADD CONSTRAINT weights_run_id_fkey FOREIGN KEY (run_id) REFERENCES gannet.run(run_id);

ALTER TABLE ONLY gannet.work_unit
    ADD CONSTRAINT work_unit_run_id_fkey FOREIGN KEY (run_id) REFERENCES gannet.run(run_id);

ALTER TABLE ONLY gannet.worker
    ADD CONSTRAINT worker_run_id_fkey FOREIGN KEY (run_id) REFERENCES gannet.run(run_id);

