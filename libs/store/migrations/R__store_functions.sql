-- What a coordinator changes: one function per call of libs/store's PgStore that does more than read. See R__exchange_functions.sql for errors
-- and the order of locks, and A__grant_rights.sql for who may execute what.

CREATE FUNCTION gannet.require_run(p_run bigint)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM gannet.run r WHERE r.run_id = p_run) THEN
    RAISE EXCEPTION 'no such run: %', p_run USING ERRCODE = 'GN005';
  END IF;
END
$$;

-- FAILED_PRECONDITION unless the leadership is the current, unexpired one. p_lock holds the run against every other change until the end of the
-- transaction.
CREATE FUNCTION gannet.require_leader(p_run bigint, p_leader text, p_term bigint, p_lock boolean)
RETURNS gannet.run
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
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
  IF v_run.leader_id IS DISTINCT FROM p_leader OR v_run.leader_term IS DISTINCT FROM p_term OR v_run.leader_until <= gannet.clock_now() THEN
    RAISE EXCEPTION 'not the leader (any more), stop coordinating: current term %, got %', v_run.leader_term, p_term
      USING ERRCODE = 'GN009';
  END IF;
  RETURN v_run;
END
$$;

-- Units of a round, in the order of p_units: objects of slot and image_indices.
CREATE FUNCTION gannet.add_units(p_run bigint, p_round bigint, p_units jsonb)
RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO gannet.work_unit (run_id, round, slot, image_count, image_indices)
  SELECT p_run, p_round, u.slot, cardinality(u.image_indices), u.image_indices
    FROM ROWS FROM (jsonb_to_recordset(p_units) AS (slot integer, image_indices bigint[])) WITH ORDINALITY AS u(slot, image_indices, place)
   ORDER BY u.place
$$;

-- Refuses an object that lacks something: p_fields is what was read of it. INTERNAL, for it comes from our own program.
CREATE FUNCTION gannet.require_fields(p_function text, p_fields jsonb)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_missing text;
BEGIN
  SELECT string_agg(f.key, ', ') INTO v_missing FROM jsonb_each(p_fields) AS f WHERE f.value = 'null';
  IF v_missing IS NOT NULL THEN
    RAISE EXCEPTION 'a request lacks fields: % of %', v_missing, p_function USING ERRCODE = 'GN013';
  END IF;
END
$$;

-- Makes the leaves of a run: `p_leaves` of them below a partition of `p_parent`, by `p_key` modulo `p_leaves`. The partition is attached when it is
-- complete, which does not disturb other runs (CREATE TABLE … PARTITION OF would wait for every accept).
CREATE FUNCTION gannet.create_blob_ring(p_parent text, p_run bigint, p_key text, p_leaves integer, p_unique text)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
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

-- What is kept of rounds that are over: objects with the columns of gannet.round_summary.
CREATE FUNCTION gannet.add_summaries(p_run bigint, p_summaries jsonb)
RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
  INSERT INTO gannet.round_summary (
      run_id, round, epoch, gradient_count, image_count, discriminator_loss, generator_loss, real_accuracy, fake_accuracy, seconds)
  SELECT p_run, s.round, s.epoch, s.gradient_count, s.image_count, s.discriminator_loss, s.generator_loss, s.real_accuracy, s.fake_accuracy,
         s.seconds
    FROM jsonb_to_recordset(p_summaries) AS s(
      round bigint, epoch bigint, gradient_count integer, image_count integer, discriminator_loss double precision,
      generator_loss double precision, real_accuracy double precision, fake_accuracy double precision, seconds double precision)
$$;

-- A run with the metadata of its first version and the units of its first round. The bytes follow in the same transaction.
-- p_request: config, as JSON of gannet.v1.RunConfig, and what the functions need of it (name, seed, lease_us, micro_batch, data_kind, data_image_count,
-- data_digest, speculation_multiplier, gradient_codec, gradient_bytes_max); version, weights and adam_state, of codec and payload_bytes; units, as add_units takes
-- them; history, the rounds behind that version.
CREATE FUNCTION gannet.create_run(p_request jsonb, p_weights_sha256 bytea, p_adam_sha256 bytea)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_request record;
  v_run bigint;
BEGIN
  SELECT * INTO v_request FROM jsonb_to_record(p_request) AS r(
    name text, config jsonb, seed numeric, lease_us bigint, micro_batch integer, data_kind text, data_image_count bigint, data_digest text,
    speculation_multiplier double precision, gradient_codec smallint, gradient_bytes_max bigint, version bigint, weights jsonb, adam_state jsonb,
    units jsonb, history jsonb);
  PERFORM gannet.require_fields('create_run', to_jsonb(v_request));
  INSERT INTO gannet.run (
      name, config, seed, lease, micro_batch, data_kind, data_image_count, data_digest, weights_version, speculation_multiplier,
      gradient_codec, gradient_bytes_max)
  VALUES (v_request.name, v_request.config, v_request.seed, v_request.lease_us * interval '1 microsecond', v_request.micro_batch,
          v_request.data_kind, v_request.data_image_count, v_request.data_digest, v_request.version, v_request.speculation_multiplier,
          v_request.gradient_codec, v_request.gradient_bytes_max)
  ON CONFLICT (name) DO NOTHING
  RETURNING run_id INTO v_run;
  IF v_run IS NULL THEN
    RAISE EXCEPTION 'the name of the run is taken: %', v_request.name USING ERRCODE = 'GN006';
  END IF;
  INSERT INTO gannet.accept_turn (run_id) VALUES (v_run);
  PERFORM gannet.create_blob_ring('gradient_blob', v_run, 'round', ${kBlobRing}, 'unit_id, attempt, seq');
  PERFORM gannet.create_blob_ring('weights_blob', v_run, 'version', ${kBlobRing}, 'version, seq');
  PERFORM gannet.create_blob_ring('adam_blob', v_run, 'version', ${kAdamRing}, 'version, seq');
  INSERT INTO gannet.weights (run_id, version, codec, sha256, payload_bytes, keep)
  SELECT v_run, v_request.version, w.codec, p_weights_sha256, w.payload_bytes, false
    FROM jsonb_to_record(v_request.weights) AS w(codec smallint, payload_bytes bigint);
  INSERT INTO gannet.adam_state (run_id, version, codec, sha256, payload_bytes)
  SELECT v_run, v_request.version, a.codec, p_adam_sha256, a.payload_bytes
    FROM jsonb_to_record(v_request.adam_state) AS a(codec smallint, payload_bytes bigint);
  PERFORM gannet.add_summaries(v_run, v_request.history);
  PERFORM gannet.add_units(v_run, v_request.version + 1, v_request.units);
  PERFORM pg_notify('gannet_work', v_run::text);
  RETURN v_run;
END
$$;

-- Called behind create_run, in its transaction: settings that were changed, workers that joined before and whether it was paused, as the JSON of gannet.v1.RunArchive.
CREATE FUNCTION gannet.restore_run(p_run bigint, p_archive jsonb)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO gannet.run_change (run_id, from_round, config, reason, changed_at)
  SELECT p_run, (c->>'round')::bigint, c->'config', c->>'reason', gannet.clock_now()
    FROM jsonb_array_elements(p_archive->'changes') AS c;
  IF (p_archive->>'paused')::boolean THEN
    UPDATE gannet.run r SET state = 'paused', state_reason = coalesce(p_archive->>'pause_reason', '') WHERE r.run_id = p_run;
  END IF;
  INSERT INTO gannet.worker (
      run_id, worker_id, secret_sha256, incarnation, display_name, hardware, accepted_unit_count, accepted_image_count,
      duplicate_unit_count, wasted_image_count, last_seen, removed_reason, has_left)
  SELECT p_run, w->'summary'->>'worker_id', decode(w->>'secret_sha256', 'base64'), (w->>'incarnation')::bigint,
         w->'summary'->>'display_name', w->'summary'->>'hardware', (w->'summary'->>'accepted_unit_count')::bigint,
         (w->'summary'->>'accepted_image_count')::bigint, (w->'summary'->>'duplicate_unit_count')::bigint,
         (w->'summary'->>'wasted_image_count')::bigint, (w->'summary'->>'last_seen_time')::timestamptz,
         nullif(w->'summary'->>'removed_reason', ''), coalesce(w->'summary'->>'removed_reason', '') <> ''
    FROM jsonb_array_elements(p_archive->'workers') AS w;
END
$$;

-- The term under which p_leader leads now.
CREATE FUNCTION gannet.acquire_leadership(p_run bigint, p_leader text, p_ttl_us bigint)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now timestamptz := gannet.clock_now();
  v_term bigint;
BEGIN
  PERFORM gannet.require_run(p_run);
  UPDATE gannet.run r
     SET leader_term = r.leader_term + (CASE WHEN r.leader_id = p_leader THEN 0 ELSE 1 END),
         leader_id = p_leader, leader_until = v_now + p_ttl_us * interval '1 microsecond'
   WHERE r.run_id = p_run AND (r.leader_id IS NULL OR r.leader_id = p_leader OR r.leader_until <= v_now)
  RETURNING r.leader_term INTO v_term;
  IF v_term IS NULL THEN
    RAISE EXCEPTION 'another coordinator leads this run, wait: its leadership expires at %',
      (SELECT r.leader_until FROM gannet.run r WHERE r.run_id = p_run) USING ERRCODE = 'GN009';
  END IF;
  RETURN v_term;
END
$$;

CREATE FUNCTION gannet.resign_leadership(p_run bigint, p_leader text, p_term bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM gannet.require_run(p_run);
  UPDATE gannet.run r SET leader_id = NULL, leader_until = NULL
   WHERE r.run_id = p_run AND r.leader_id = p_leader AND r.leader_term = p_term;
END
$$;

-- The worker, when it is removed from the run for it: then revoke_work follows, in a transaction of its own. Null otherwise.
CREATE FUNCTION gannet.reject_gradient(p_run bigint, p_leader text, p_term bigint, p_unit bigint, p_reason text)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_run gannet.run;
  v_gradient gannet.gradient;
  v_removed text;
BEGIN
  v_run := gannet.require_leader(p_run, p_leader, p_term, true);
  IF v_run.state IN ('running', 'paused') THEN
    UPDATE gannet.work_unit u
       SET state = CASE WHEN u.stale_rounds > 0 THEN 'closed' ELSE gannet.state_after_failure(u.failures + 1) END,
           failures = u.failures + 1, failure_reason = p_reason, failed_by = gannet.failed_also_by(u.failed_by, u.holder),
           holder = NULL, lease_until = NULL,
           ready_at = gannet.clock_now() + gannet.requeue_backoff(u.attempt), is_speculative = u.stale_rounds > 0  -- else the slot's only one now
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
         net_rejections = w.net_rejections + 1
   WHERE w.run_id = p_run AND w.worker_id = v_gradient.worker_id;
  UPDATE gannet.worker w
     SET removed_reason = left(format('%s more gradients were rejected than used, the last one: %s', w.net_rejections, p_reason), ${kMaxReasonChars}),
         has_left = true  -- RejectionsReason
   WHERE w.run_id = p_run AND w.worker_id = v_gradient.worker_id AND w.removed_reason IS NULL
     AND w.net_rejections >= ${kMaxNetRejections}
  RETURNING w.worker_id INTO v_removed;
  INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
  VALUES (p_run, v_gradient.round, p_unit, v_gradient.attempt, v_gradient.worker_id, ${LedgerOutcome::kRejected}, gannet.clock_now());
  PERFORM gannet.announce_failure(p_run, p_unit);
  RETURN v_removed;
END
$$;

-- Refuses a worker from now on: every call of it asks for removed_reason. What it holds is taken back by revoke_work, in a transaction after
-- this one: a claim that has locked the worker already is seen by that one, and units are never locked behind a worker.
CREATE FUNCTION gannet.remove_worker(p_run bigint, p_worker text, p_reason text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM gannet.require_run(p_run);
  UPDATE gannet.worker w SET removed_reason = p_reason, has_left = true WHERE w.run_id = p_run AND w.worker_id = p_worker;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such worker in this run: %', p_worker USING ERRCODE = 'GN005';
  END IF;
END
$$;

-- Gives everything of the open round to others that a removed worker holds, or that came from it. The holder is forgotten, so that neither a
-- heartbeat nor a submission that was under way brings it back.
CREATE FUNCTION gannet.revoke_work(p_run bigint, p_worker text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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
                        WHEN h.state = 'leased' THEN gannet.state_after_requeue(u.is_speculative)
                        ELSE 'ready' END::gannet.unit_state,
           is_speculative = CASE WHEN h.state = 'done' THEN u.stale_rounds > 0 ELSE u.is_speculative END,
           holder = NULL, lease_until = NULL
      FROM held h WHERE u.unit_id = h.unit_id
  ), noted AS (
    INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
    SELECT p_run, v_run.weights_version + 1, h.unit_id, h.attempt, p_worker,
           CASE h.state WHEN 'done' THEN ${LedgerOutcome::kRejected} ELSE ${LedgerOutcome::kRevoked} END, v_now
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

CREATE FUNCTION gannet.restore_worker(p_run bigint, p_worker text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM gannet.require_run(p_run);
  UPDATE gannet.worker w SET removed_reason = NULL, net_rejections = 0 WHERE w.run_id = p_run AND w.worker_id = p_worker;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no such worker in this run: %', p_worker USING ERRCODE = 'GN005';
  END IF;
END
$$;

-- Publishes a round, but for the bytes of weights and Adam's state, which follow in the same transaction. The run's row, locked and compared first,
-- is the compare-and-swap.
-- p_request: weights, of codec, payload_bytes and keep; adam_state, of codec and payload_bytes; summary, with the columns of gannet.round_summary; units of
-- the next round, as add_units takes them; finished; max_stale_rounds.
CREATE FUNCTION gannet.publish_round(
  p_run bigint, p_leader text, p_term bigint, p_expected_version bigint, p_expected_sha256 bytea, p_settings_version bigint,
  p_consumed bigint[], p_consumed_sha256 bytea, p_request jsonb, p_weights_sha256 bytea, p_adam_sha256 bytea
)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_request record;
  v_run gannet.run;
  v_round bigint := p_expected_version + 1;
  v_unit bigint;
BEGIN
  SELECT * INTO v_request FROM jsonb_to_record(p_request) AS r(
    weights jsonb, adam_state jsonb, summary jsonb, units jsonb, finished boolean, max_stale_rounds integer);
  PERFORM gannet.require_fields('publish_round', to_jsonb(v_request));
  v_run := gannet.require_leader(p_run, p_leader, p_term, true);
  IF v_run.state NOT IN ('running', 'paused') THEN
    RAISE EXCEPTION 'the run has ended, publish nothing more: %', v_run.state USING ERRCODE = 'GN009';
  END IF;
  IF v_run.weights_version <> p_expected_version THEN
    RAISE EXCEPTION 'another version is published, read the run again: expected %, got %', p_expected_version,
      v_run.weights_version USING ERRCODE = 'GN010';
  END IF;
  -- Numbers come again after a database rollback, checksums do not. Empty ones are not compared.
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
     SET median_unit_us = coalesce(
           (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY (extract(epoch FROM g.accepted_at - u.claimed_at) * 1000000)::bigint)
              FROM gannet.gradient g JOIN gannet.work_unit u USING (unit_id) WHERE g.run_id = p_run AND g.round = v_round
                 AND u.stale_rounds = 0),
           r.median_unit_us),
         weights_version = v_round, state = CASE WHEN v_request.finished THEN 'finished' ELSE r.state END,
         state_reason = CASE WHEN v_request.finished THEN '' ELSE r.state_reason END
   WHERE r.run_id = p_run;
  IF v_request.max_stale_rounds > 0 THEN
    WITH most_recent AS (
      -- A speculative copy that was made while its slot was being filled is leased still: its images count already.
      SELECT DISTINCT ON (u.slot) u.unit_id, u.slot FROM gannet.work_unit u
       WHERE u.run_id = p_run AND u.round = v_round AND u.state = 'leased' AND u.stale_rounds < v_request.max_stale_rounds
         AND NOT EXISTS (SELECT FROM gannet.gradient g WHERE g.run_id = p_run AND g.round = v_round AND g.slot = u.slot)
       ORDER BY u.slot, u.progress_at DESC, u.unit_id
    ), placed AS (
      SELECT l.unit_id, (SELECT max(n.slot) FROM jsonb_to_recordset(v_request.units) AS n(slot integer)) + row_number() OVER (ORDER BY l.slot) AS slot FROM most_recent l
    )
    UPDATE gannet.work_unit u
       SET round = v_round + 1, slot = p.slot, is_speculative = true, stale_rounds = u.stale_rounds + 1,
           claimed_slot = coalesce(u.claimed_slot, u.slot)
      FROM placed p WHERE u.unit_id = p.unit_id;
  END IF;
  UPDATE gannet.work_unit u
     SET state = CASE WHEN u.state IN ('ready', 'leased', 'failed') THEN 'closed' ELSE u.state END,
         consumed = u.unit_id = ANY (p_consumed), image_indices = NULL
   WHERE u.run_id = p_run AND u.round = v_round;
  -- Accepted, but not in time for a round that did not wait for it.
  UPDATE gannet.worker w SET wasted_image_count = w.wasted_image_count + left_out.images
    FROM (SELECT g.worker_id, sum(g.image_count) AS images FROM gannet.gradient g
           WHERE g.run_id = p_run AND g.round = v_round AND g.unit_id <> ALL (p_consumed) GROUP BY g.worker_id) left_out
   WHERE w.run_id = p_run AND w.worker_id = left_out.worker_id;
  -- A good gradient forgives one rejection (kMaxNetRejections), not all: whoever submits bad ones mostly is sent away.
  UPDATE gannet.worker w SET net_rejections = greatest(0, w.net_rejections - good.gradients)
    FROM (SELECT g.worker_id, count(*)::integer AS gradients FROM gannet.gradient g
           WHERE g.run_id = p_run AND g.unit_id = ANY (p_consumed) GROUP BY g.worker_id) good
   WHERE w.run_id = p_run AND w.worker_id = good.worker_id AND w.net_rejections > 0;
  INSERT INTO gannet.weights (run_id, version, codec, sha256, payload_bytes, keep)
  SELECT p_run, v_round, w.codec, p_weights_sha256, w.payload_bytes, w.keep
    FROM jsonb_to_record(v_request.weights) AS w(codec smallint, payload_bytes bigint, keep boolean);
  UPDATE gannet.adam_state a
     SET version = v_round, codec = n.codec, sha256 = p_adam_sha256, payload_bytes = n.payload_bytes
    FROM jsonb_to_record(v_request.adam_state) AS n(codec smallint, payload_bytes bigint)
   WHERE a.run_id = p_run;
  PERFORM gannet.add_summaries(p_run, jsonb_build_array(v_request.summary));
  PERFORM gannet.add_units(p_run, v_round + 1, v_request.units);
  PERFORM pg_notify('gannet_work', p_run::text);
  IF v_request.finished THEN
    PERFORM pg_notify('gannet_round', p_run::text);
  END IF;
END
$$;

-- p_change holds from p_round, which must be the one after the open round: config, what the functions need of it (lease_us, speculation_multiplier), and reason.
-- The caller has asked ChangeConfig.
CREATE FUNCTION gannet.change_settings(p_run bigint, p_round bigint, p_change jsonb)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_change record;
  v_run gannet.run;
BEGIN
  SELECT * INTO v_change FROM jsonb_to_record(p_change) AS c(config jsonb, lease_us bigint, speculation_multiplier double precision, reason text);
  PERFORM gannet.require_fields('change_settings', to_jsonb(v_change));
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
  VALUES (p_run, p_round, v_change.config, v_change.reason, gannet.clock_now())
  ON CONFLICT (run_id, from_round) DO UPDATE
     SET config = excluded.config, changed_at = excluded.changed_at,
         reason = left(concat_ws('; ', nullif(c.reason, ''), nullif(excluded.reason, '')), ${kMaxReasonChars});  -- JoinReasons
  UPDATE gannet.run r
     SET lease = v_change.lease_us * interval '1 microsecond', speculation_multiplier = v_change.speculation_multiplier,
         -- Never the same again, also when the database is rolled back: see V0007__ids_that_never_come_again.sql.
         settings_version = ((r.settings_version >> 24) + 1 << 24) | floor(random() * (1 << 24))::bigint
   WHERE r.run_id = p_run;
  PERFORM pg_notify('gannet_round', p_run::text);
END
$$;

CREATE FUNCTION gannet.reap_expired_leases(p_run bigint, p_leader text, p_term bigint)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_now timestamptz := gannet.clock_now();
  v_run gannet.run;
  v_count integer;
BEGIN
  v_run := gannet.require_leader(p_run, p_leader, p_term, false);
  -- Whom a transaction has removed, and the one behind it has failed. The run is locked before units.
  IF v_run.state IN ('running', 'paused') THEN
    PERFORM gannet.revoke_work(p_run, w.worker_id) FROM gannet.worker w
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
    -- lease_until stays: by it a heartbeat tells a lease that was reaped from one that was released.
    UPDATE gannet.work_unit u
       SET state = gannet.state_after_requeue(u.is_speculative), ready_at = v_now + gannet.requeue_backoff(u.attempt)
      FROM expired e WHERE u.unit_id = e.unit_id AND u.state = 'leased' AND u.lease_until <= v_now
    RETURNING u.round, u.unit_id, u.attempt, u.holder)
  INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
  SELECT p_run, r.round, r.unit_id, r.attempt, r.holder, ${LedgerOutcome::kExpired}, v_now FROM returned r;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count > 0 THEN
    PERFORM pg_notify('gannet_work', p_run::text);
  END IF;
  RETURN v_count;
END
$$;

-- Frees a leaf of what is below p_below: by TRUNCATE, or row by row when something newer is in it already (p_newer, looked at once the leaf is locked:
-- TRUNCATE does not ask who might still see a row), and when a reader does not let go of it: what he sees is truncated the next time.
CREATE FUNCTION gannet.free_blob_leaf(p_leaf text, p_key text, p_below bigint, p_newer text)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
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

-- Waits only so long for the readers of each leaf.
CREATE FUNCTION gannet.reclaim_old_blobs(p_run bigint, p_leader text, p_term bigint, p_round bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
  v_run gannet.run;
  v_found boolean;
BEGIN
  v_run := gannet.require_leader(p_run, p_leader, p_term, false);
  IF p_round - v_run.weights_version NOT IN (1, 2) THEN
    RAISE EXCEPTION 'round must be one or two above the published version %, got %', v_run.weights_version, p_round
      USING ERRCODE = 'GN003';
  END IF;

  IF EXISTS (SELECT FROM gannet.gradient g
              WHERE g.run_id = p_run AND g.has_bytes AND g.round < p_round AND (p_round - g.round) % ${kBlobRing} = 0) THEN
    PERFORM gannet.free_blob_leaf(
      format('gradient_blob_%s_%s', p_run, p_round % ${kBlobRing}), 'round', p_round,
      format('SELECT FROM gannet.gradient g WHERE g.run_id = %s AND g.has_bytes AND g.round >= %s', p_run, p_round));
    UPDATE gannet.gradient g SET has_bytes = false
     WHERE g.run_id = p_run AND g.has_bytes AND g.round < p_round AND (p_round - g.round) % ${kBlobRing} = 0;
  END IF;

  IF EXISTS (SELECT FROM gannet.weights w
              WHERE w.run_id = p_run AND w.in_ring AND w.version < p_round AND (p_round - w.version) % ${kBlobRing} = 0) THEN
    -- The plan knows the values, so it touches one leaf only.
    INSERT INTO gannet.weights_kept_blob (run_id, version, seq, data)
    SELECT b.run_id, b.version, b.seq, b.data
      FROM gannet.weights w JOIN gannet.weights_blob b ON b.run_id = w.run_id AND b.version = w.version
     WHERE w.run_id = p_run AND w.in_ring AND w.keep AND w.version < p_round AND (p_round - w.version) % ${kBlobRing} = 0
       AND b.run_id = p_run AND b.version % ${kBlobRing} = p_round % ${kBlobRing};
    PERFORM gannet.free_blob_leaf(
      format('weights_blob_%s_%s', p_run, p_round % ${kBlobRing}), 'version', p_round,
      format('SELECT FROM gannet.weights w WHERE w.run_id = %s AND w.version >= %s', p_run, p_round));
    DELETE FROM gannet.weights w
     WHERE w.run_id = p_run AND w.in_ring AND NOT w.keep AND w.version < p_round AND (p_round - w.version) % ${kBlobRing} = 0;
    UPDATE gannet.weights w SET in_ring = false
     WHERE w.run_id = p_run AND w.in_ring AND w.keep AND w.version < p_round AND (p_round - w.version) % ${kBlobRing} = 0;
  END IF;

  -- Versions four below belong to nobody: the current one is one or two below.
  EXECUTE format('SELECT EXISTS (SELECT FROM gannet.%I b WHERE b.version < %s)', format('adam_blob_%s_%s', p_run, p_round % ${kAdamRing}),
                 p_round) INTO v_found;
  IF v_found THEN
    PERFORM gannet.free_blob_leaf(
      format('adam_blob_%s_%s', p_run, p_round % ${kAdamRing}), 'version', p_round,
      format('SELECT FROM gannet.adam_state a WHERE a.run_id = %s AND a.version >= %s', p_run, p_round));
  END IF;

  DELETE FROM gannet.ledger s WHERE s.run_id = p_run AND s.round <= p_round - ${kBlobRing};
END
$$;

-- Frees the bytes that nobody asks for once the run has ended; the leaf of the current weights loses only what is older. A reader is waited for
-- shortly; then nothing is freed.
CREATE FUNCTION gannet.reclaim_blobs(p_run bigint, p_leader text, p_term bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
AS $$
DECLARE
  v_run gannet.run;
BEGIN
  v_run := gannet.require_leader(p_run, p_leader, p_term, true);
  IF v_run.state NOT IN ('finished', 'stopped') THEN
    RAISE EXCEPTION 'the run has not ended, its bytes are needed: %', v_run.state USING ERRCODE = 'GN009';
  END IF;
  FOR v_leaf IN 0 .. ${kBlobRing} - 1 LOOP
    EXECUTE format('TRUNCATE gannet.%I', format('gradient_blob_%s_%s', p_run, v_leaf));
  END LOOP;
  UPDATE gannet.gradient g SET has_bytes = false WHERE g.run_id = p_run AND g.has_bytes;

  INSERT INTO gannet.weights_kept_blob (run_id, version, seq, data)
  SELECT b.run_id, b.version, b.seq, b.data
    FROM gannet.weights w JOIN gannet.weights_blob b ON b.run_id = w.run_id AND b.version = w.version
   WHERE w.run_id = p_run AND w.in_ring AND w.keep AND w.version < v_run.weights_version AND b.run_id = p_run;
  FOR v_leaf IN 0 .. ${kBlobRing} - 1 LOOP
    IF v_leaf <> v_run.weights_version % ${kBlobRing} THEN
      EXECUTE format('TRUNCATE gannet.%I', format('weights_blob_%s_%s', p_run, v_leaf));
    END IF;
  END LOOP;
  DELETE FROM gannet.weights_blob b WHERE b.run_id = p_run AND b.version < v_run.weights_version;
  UPDATE gannet.weights w SET in_ring = false
   WHERE w.run_id = p_run AND w.in_ring AND w.keep AND w.version < v_run.weights_version;
  DELETE FROM gannet.weights w WHERE w.run_id = p_run AND w.in_ring AND w.version < v_run.weights_version;

  FOR v_leaf IN 0 .. ${kAdamRing} - 1 LOOP
    IF v_leaf <> v_run.weights_version % ${kAdamRing} THEN
      EXECUTE format('TRUNCATE gannet.%I', format('adam_blob_%s_%s', p_run, v_leaf));
    END IF;
  END LOOP;
END
$$;

-- Deletes a run. Dropping its partitions holds up every accept of other runs that comes meanwhile, and a reader holds up the drop: it is waited for
-- shortly; then nothing is deleted.
CREATE FUNCTION gannet.delete_run(p_run bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
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
    RAISE EXCEPTION 'a coordinator leads this run, stop it first: its leadership expires at %', v_run.leader_until USING ERRCODE = 'GN009';
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

-- Keeps weights as the best of the run, but for their bytes, which follow in the same transaction: in rows of the turn that is returned. The run is
-- locked, so that whoever leads after this one sees it. p_best: version, distance, codec and payload_bytes.
CREATE FUNCTION gannet.save_best(p_run bigint, p_leader text, p_term bigint, p_best jsonb, p_sha256 bytea)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms'
AS $$
DECLARE
  v_best record;
  v_run gannet.run;
  v_turn bigint;
BEGIN
  SELECT * INTO v_best FROM jsonb_to_record(p_best) AS b(version bigint, distance double precision, codec smallint, payload_bytes bigint);
  PERFORM gannet.require_fields('save_best', to_jsonb(v_best));
  v_run := gannet.require_leader(p_run, p_leader, p_term, true);
  IF v_best.version > v_run.weights_version THEN
    RAISE EXCEPTION 'version is not published yet: current %, got %', v_run.weights_version, v_best.version USING ERRCODE = 'GN003';
  END IF;
  INSERT INTO gannet.best_weights AS b (run_id, version, distance, codec, sha256, payload_bytes, turn)
  VALUES (p_run, v_best.version, v_best.distance, v_best.codec, p_sha256, v_best.payload_bytes, 1)
  ON CONFLICT (run_id) DO UPDATE
     SET version = excluded.version, distance = excluded.distance, codec = excluded.codec, sha256 = excluded.sha256,
         payload_bytes = excluded.payload_bytes, turn = b.turn + 1
  RETURNING b.turn INTO v_turn;
  IF v_turn = 1 THEN
    PERFORM gannet.create_blob_ring('best_blob', p_run, 'turn', ${kBestRing}, 'turn, seq');
  ELSE
    PERFORM gannet.free_blob_leaf(format('best_blob_%s_%s', p_run, v_turn % ${kBestRing}), 'turn', v_turn, 'SELECT WHERE false');
  END IF;
  RETURN v_turn;
END
$$;

-- Takes a run from one state to another; false when it was not in p_from. The caller has asked whether that is allowed (CheckRunTransition).
CREATE FUNCTION gannet.set_run_state(
  p_run bigint, p_from gannet.run_state, p_to gannet.run_state, p_reason text
)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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
