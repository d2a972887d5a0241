-- What a worker may do: one function per call of libs/exchange/exchange.h. Each checks the secret and the incarnation itself, so a worker that
-- reaches the database directly has the same rights as one behind the gateway.
--
-- Errors have the class GN and the number of their status code (libs/pg/sql_status.h). What is malformed has been refused before
-- (libs/exchange/validation.h); a worker that calls these functions by itself has passed no such check, so whatever could harm others is
-- refused here again. Nulls above all: a comparison with null is neither true nor false, hence IS DISTINCT FROM and IS NOT TRUE.
--
-- A name in braces behind a dollar sign is a constant of C++ (libs/store/sql_constants.h). Data comes in one JSON object, whose fields are those that
-- jsonb_to_record names; identity, fences and bytes are parameters of their own. To change a function is to change it here: see R__ in
-- libs/pg/migrator.h.
--
-- Who may execute what: A__grant_rights.sql. No lock here has a number that a worker could name: locks are rows of tables on which it has no rights.
--
-- Locks are taken in the order unit, worker (claim, which takes the worker first, never waits for a unit) and run before unit; of several units in
-- the order of their ids.

-- INVALID_ARGUMENT when these are no identity.
CREATE FUNCTION gannet.require_identity(p_worker text, p_secret text, p_incarnation bigint)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (p_worker ~ '^[0-9a-f]{32}$' AND p_secret ~ '^[0-9a-f]{64}$' AND p_incarnation >= 1) IS NOT TRUE THEN
    RAISE EXCEPTION 'a worker is 32 hexadecimal digits, its secret 64, its incarnation at least 1' USING ERRCODE = 'GN003';
  END IF;
END
$$;

-- INVALID_ARGUMENT when the text is none for people, or too long.
CREATE FUNCTION gannet.require_text(p_field text, p_text text, p_max_chars integer)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF (char_length(p_text) <= p_max_chars AND gannet.is_plain_text(p_text)) IS NOT TRUE THEN
    RAISE EXCEPTION '% must have at most % characters, and no control, invisible, direction or private ones', p_field, p_max_chars
      USING ERRCODE = 'GN003';
  END IF;
END
$$;

-- FAILED_PRECONDITION when there is a reason for which the worker was removed.
CREATE FUNCTION gannet.require_not_removed(p_removed_reason text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF p_removed_reason IS NOT NULL THEN
    RAISE EXCEPTION 'this worker was removed from the run: %; ask the instructor', p_removed_reason USING ERRCODE = 'GN009';
  END IF;
END
$$;

-- INVALID_ARGUMENT, NOT_FOUND, UNAUTHENTICATED or FAILED_PRECONDITION, as the comment of Exchange orders them.
CREATE FUNCTION gannet.require_worker(p_worker text, p_secret text, p_incarnation bigint, p_run bigint)
RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
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
  -- A database that was rolled back knows only the start before.
  IF p_incarnation > v_incarnation THEN
    RAISE EXCEPTION 'this start of the worker is unknown in this run, join it first: %', p_worker USING ERRCODE = 'GN016';
  END IF;
  IF v_incarnation IS DISTINCT FROM p_incarnation THEN
    RAISE EXCEPTION 'a newer start of this worker has taken over, end this one: current %, got %',
      v_incarnation, p_incarnation USING ERRCODE = 'GN009';
  END IF;
END
$$;

-- The settings of a run that hold in a round.
CREATE FUNCTION gannet.config_of(p_run bigint, p_round bigint)
RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(
    (SELECT c.config FROM gannet.run_change c WHERE c.run_id = p_run AND c.from_round <= p_round ORDER BY c.from_round DESC LIMIT 1),
    (SELECT r.config FROM gannet.run r WHERE r.run_id = p_run))
$$;

-- UnitLease of libs/domain/unit_state.h. As an expression that becomes part of whoever asks: called as a function it took 40 microseconds.
CREATE FUNCTION gannet.unit_lease(p_configured interval, p_median_us bigint)
RETURNS interval
LANGUAGE sql IMMUTABLE
RETURN CASE
  WHEN p_median_us <= 0 THEN p_configured
  ELSE least(p_configured, greatest(interval '${kMinUnitLease}', ${kLeaseMultiplier} * p_median_us * interval '1 microsecond'))
END;

-- SpeculationDelay of libs/domain/unit_state.h once the median time is known; null: never.
CREATE FUNCTION gannet.speculation_delay(p_multiplier double precision, p_median_us bigint)
RETURNS interval
LANGUAGE sql IMMUTABLE
RETURN CASE
  WHEN p_multiplier > 0 AND p_median_us > 0
    THEN greatest(interval '${kMinSpeculationDelay}', floor(p_multiplier * p_median_us)::bigint * interval '1 microsecond')
END;

-- Whether a worker gets a unit that others, or it, have failed. Whoever failed it waits while somebody is there who has not, but no longer than
-- p_max_wait after the unit became ready: that one may never ask. MayClaim of the memory backend.
CREATE FUNCTION gannet.may_claim(
  p_run bigint, p_worker text, p_failed_by text[], p_ready_at timestamptz, p_now timestamptz, p_max_wait interval
)
RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT p_worker <> ALL (p_failed_by) OR p_ready_at + p_max_wait <= p_now
      OR NOT EXISTS (SELECT FROM gannet.worker o
                      WHERE o.run_id = p_run AND o.worker_id <> ALL (p_failed_by) AND NOT o.has_left AND o.removed_reason IS NULL
                        AND o.last_seen > p_now - interval '${kWorkerLivenessTimeout}')
$$;

-- Each name once.
CREATE FUNCTION gannet.failed_also_by(p_failed_by text[], p_worker text)
RETURNS text[]
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN p_worker = ANY(p_failed_by) THEN p_failed_by ELSE array_append(p_failed_by, p_worker) END;

-- The unit of which p_worker could compute a speculative copy: the one claimed first among those leased to others for longer than p_limit, with nobody
-- beside them but speculative copies that are as slow, and one of these at most: two that make progress up must not hold a slot. Null when none is.
CREATE FUNCTION gannet.find_straggler(p_run bigint, p_worker text, p_now timestamptz, p_limit interval)
RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT u.unit_id FROM gannet.work_unit u
   WHERE u.run_id = p_run AND u.state = 'leased' AND u.holder <> p_worker AND NOT u.is_speculative AND p_now - u.claimed_at > p_limit
     AND p_worker <> ALL (u.failed_by)
     AND NOT EXISTS (SELECT FROM gannet.work_unit s WHERE s.run_id = p_run AND s.round = u.round AND s.slot = u.slot
                        AND s.unit_id <> u.unit_id AND s.state IN ('ready', 'leased')
                        AND (s.state = 'ready' OR s.holder = p_worker OR p_now - s.claimed_at <= p_limit))
     AND (SELECT count(*) FROM gannet.work_unit s WHERE s.run_id = p_run AND s.round = u.round AND s.slot = u.slot
             AND s.state IN ('ready', 'leased')) < ${kMaxOpenUnitsOfSlot}
   ORDER BY u.claimed_at, u.slot LIMIT 1
$$;

-- Releases what the worker holds, or one unit of it; returns how many these were.
CREATE FUNCTION gannet.release_units(p_run bigint, p_worker text, p_unit bigint DEFAULT NULL, p_attempt integer DEFAULT NULL)
RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_count integer;
BEGIN
  -- In the order in which heartbeats lock them.
  PERFORM FROM gannet.work_unit u
    WHERE u.run_id = p_run AND u.holder = p_worker AND u.state = 'leased' AND (p_unit IS NULL OR (u.unit_id = p_unit AND u.attempt = p_attempt))
    ORDER BY u.unit_id FOR NO KEY UPDATE;
  WITH returned AS (
    UPDATE gannet.work_unit u SET state = gannet.state_after_requeue(u.is_speculative), lease_until = NULL
     WHERE u.run_id = p_run AND u.holder = p_worker AND u.state = 'leased'
       AND (p_unit IS NULL OR (u.unit_id = p_unit AND u.attempt = p_attempt))
    RETURNING u.round, u.unit_id, u.attempt)
  INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
  SELECT p_run, r.round, r.unit_id, r.attempt, p_worker, ${LedgerOutcome::kReleased}, gannet.clock_now() FROM returned r;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END
$$;

-- p_request: run_name, display_name, hardware, and data_kind, data_image_count and data_digest; without these three the run is described and nothing
-- registered. data_matches is false when the fingerprint is another one: nothing is registered then.
CREATE FUNCTION gannet.join_run(p_worker text, p_secret text, p_incarnation bigint, p_request jsonb)
RETURNS TABLE (run_id bigint, config text, run_state text, data_matches boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_request record;
  v_run gannet.run;
  v_secret_sha256 bytea := sha256(convert_to(p_secret, 'UTF8'));
  v_known gannet.worker;
  v_released integer := 0;
BEGIN
  PERFORM gannet.require_identity(p_worker, p_secret, p_incarnation);
  SELECT * INTO v_request FROM jsonb_to_record(p_request) AS r(
    run_name text, display_name text, hardware text, data_kind text, data_image_count bigint, data_digest text);
  PERFORM gannet.require_text('run_name', v_request.run_name, ${kMaxRunNameChars});
  PERFORM gannet.require_text('display_name', v_request.display_name, ${kMaxDisplayNameChars});
  PERFORM gannet.require_text('hardware', v_request.hardware, ${kMaxHardwareChars});
  IF v_request.run_name = '' THEN
    SELECT * INTO v_run FROM gannet.run r WHERE r.state IN ('running', 'paused') ORDER BY r.run_id DESC LIMIT 1;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'no run that has not ended' USING ERRCODE = 'GN005';
    END IF;
  ELSE
    SELECT * INTO v_run FROM gannet.run r WHERE r.name = v_request.run_name;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'no such run: %', v_request.run_name USING ERRCODE = 'GN005';
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
  IF v_request.data_kind IS NOT NULL THEN
    data_matches := (v_request.data_kind = v_run.data_kind AND v_request.data_image_count = v_run.data_image_count
                     AND v_request.data_digest = v_run.data_digest) IS TRUE;
    IF data_matches THEN
      IF v_known.incarnation <> p_incarnation THEN
        v_released := gannet.release_units(v_run.run_id, p_worker);
      END IF;
      -- Without a lock: a few who join at the same moment may be let in beyond it.
      IF v_known.worker_id IS NULL AND (SELECT count(*) FROM gannet.worker w WHERE w.run_id = v_run.run_id) >= ${kMaxWorkersOfRun} THEN
        RAISE EXCEPTION 'the run has all the workers it may have: ${kMaxWorkersOfRun}' USING ERRCODE = 'GN008';
      END IF;
      INSERT INTO gannet.worker AS w (run_id, worker_id, secret_sha256, incarnation, display_name, hardware, last_seen)
      VALUES (v_run.run_id, p_worker, v_secret_sha256, p_incarnation, v_request.display_name, v_request.hardware, gannet.clock_now())
      ON CONFLICT (run_id, worker_id) DO UPDATE
         SET incarnation = excluded.incarnation, display_name = excluded.display_name,
             hardware = excluded.hardware, last_seen = excluded.last_seen, has_left = false
       WHERE w.secret_sha256 = excluded.secret_sha256;
      IF NOT FOUND THEN
        -- Somebody else took the id at the same moment.
        RAISE EXCEPTION 'the worker is known with another secret: %', p_worker USING ERRCODE = 'GN016';
      END IF;
      IF v_released > 0 THEN
        PERFORM pg_notify('gannet_work', v_run.run_id::text);
      END IF;
    END IF;
  END IF;
  RETURN NEXT;
END
$$;

-- Changes nothing, and does not count as liveness.
CREATE FUNCTION gannet.describe_run(p_worker text, p_secret text, p_incarnation bigint, p_run bigint)
RETURNS TABLE (config text, run_state text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  RETURN QUERY SELECT gannet.config_of(r.run_id, r.weights_version + 1)::text, r.state::text FROM gannet.run r WHERE r.run_id = p_run;
END
$$;

-- One poll of Claim. unit_id is null when there is no unit.
CREATE FUNCTION gannet.claim_unit(
  p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_request text
)
RETURNS TABLE (
  run_state text, unit_id bigint, attempt integer, round bigint, slot integer, image_indices bigint[], micro_batch integer,
  seed numeric, lease_us bigint, weights_sha256 bytea
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := gannet.clock_now();
  v_state gannet.run_state;
  v_lease interval;
  v_speculation_delay interval;
  v_straggler bigint;
  v_max_wait interval;
  v_micro_batch integer;
  v_seed numeric;
  v_leases integer;
  v_unit gannet.work_unit;
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  IF (p_request ~ '^[0-9a-f]{32}$') IS NOT TRUE THEN
    RAISE EXCEPTION 'request_id must be 32 hexadecimal digits' USING ERRCODE = 'GN003';
  END IF;
  -- While the median time is not known, in the first round, the limit is that of a stalled unit (SpeculationDelay): progress is what a worker says.
  SELECT r.state, gannet.unit_lease(r.lease, r.median_unit_us),
         coalesce(gannet.speculation_delay(r.speculation_multiplier, r.median_unit_us),
                  CASE WHEN r.speculation_multiplier > 0 AND r.median_unit_us <= 0 THEN ${kLeasesOfStall} * r.lease END),
         r.micro_batch, r.seed, ${kLeasesOfStall} * r.lease
    INTO v_state, v_lease, v_speculation_delay, v_micro_batch, v_seed, v_max_wait
    FROM gannet.run r WHERE r.run_id = p_run;
  run_state := v_state::text;
  SELECT count(*) INTO v_leases FROM gannet.work_unit u
   WHERE u.run_id = p_run AND u.holder = p_worker AND u.state = 'leased';
  -- The usual look of a long poll: nothing held, nothing ready. It writes nothing.
  IF v_leases = 0 AND (v_state <> 'running' OR NOT EXISTS (
       SELECT FROM gannet.work_unit u WHERE u.run_id = p_run AND u.state = 'ready' AND u.ready_at <= v_now
          AND (u.failed_by = '{}' OR gannet.may_claim(p_run, p_worker, u.failed_by, u.ready_at, v_now, v_max_wait)))
       AND (v_speculation_delay IS NULL OR gannet.find_straggler(p_run, p_worker, v_now, v_speculation_delay) IS NULL)) THEN
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
    IF v_leases >= ${kMaxLeasesPerWorker} THEN
      RAISE EXCEPTION 'the worker holds all the units it may, submit or release one: %', v_leases USING ERRCODE = 'GN008';
    END IF;
    IF v_state = 'running' THEN
      WITH next AS MATERIALIZED (
        SELECT u.unit_id FROM gannet.work_unit u
         WHERE u.run_id = p_run AND u.state = 'ready' AND u.ready_at <= v_now
           AND (u.failed_by = '{}' OR gannet.may_claim(p_run, p_worker, u.failed_by, u.ready_at, v_now, v_max_wait))
         ORDER BY u.round, u.slot LIMIT 1 FOR UPDATE SKIP LOCKED)
      UPDATE gannet.work_unit u
         SET state = 'leased', attempt = u.attempt + 1, holder = p_worker, claim_request = p_request,
             claimed_at = v_now, lease_until = v_now + v_lease, progress_at = v_now, micro_batches_done = 0
        FROM next WHERE u.unit_id = next.unit_id
      RETURNING u.* INTO v_unit;
      IF FOUND THEN
        IF v_unit.attempt > 1 THEN
          -- What an earlier holder has staged and not submitted. The plan knows the round, so it touches one leaf only.
          EXECUTE format('DELETE FROM gannet.gradient_blob b WHERE b.run_id = %s AND b.round %% ${kBlobRing} = %s AND b.unit_id = %s AND b.attempt < %s',
                         p_run, v_unit.round % ${kBlobRing}, v_unit.unit_id, v_unit.attempt);
        END IF;
        -- Does not wait for the disk: it would cost as much as the accept, and a crash of the database that forgets it leaves a unit that is
        -- ready and a worker whose gradient is superseded (rule 4 of ClassifySubmit), which is what a lost worker leaves, too. A speculative copy, which
        -- is a new row, waits.
        PERFORM set_config('synchronous_commit', 'off', true);
      ELSIF v_speculation_delay IS NOT NULL THEN
        -- A round that is being published gets no speculative copies: the publication would not see, and not close, this one.
        PERFORM FROM gannet.run r WHERE r.run_id = p_run FOR SHARE SKIP LOCKED;
        IF FOUND THEN
          v_straggler := gannet.find_straggler(p_run, p_worker, v_now, v_speculation_delay);
        END IF;
        -- Whoever locks the slow unit first makes its speculative copy; the next one, who looks once he has the lock, sees it.
        PERFORM FROM gannet.work_unit u WHERE u.unit_id = v_straggler FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND AND gannet.find_straggler(p_run, p_worker, v_now, v_speculation_delay) = v_straggler THEN
          INSERT INTO gannet.work_unit AS u (
              run_id, round, slot, image_count, image_indices, state, attempt, holder, claim_request, claimed_at, lease_until,
              progress_at, is_speculative)
          SELECT s.run_id, s.round, s.slot, s.image_count, s.image_indices, 'leased', 1, p_worker, p_request, v_now,
                 v_now + v_lease, v_now, true
            FROM gannet.work_unit s WHERE s.unit_id = v_straggler
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
$$;

-- What weights of that version are, and a cursor named "weights" over their bytes in order: FETCH ALL FROM weights, in the same transaction.
-- An empty p_sha256: whichever have that number.
CREATE FUNCTION gannet.open_weights(
  p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_version bigint, p_sha256 bytea
)
RETURNS TABLE (codec smallint, sha256 bytea, payload_bytes bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
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
    RAISE EXCEPTION 'weights of this version are not stored, fetch the current ones: current %, got %',
      (SELECT r.weights_version FROM gannet.run r WHERE r.run_id = p_run), p_version USING ERRCODE = 'GN005';
  END IF;
  IF p_sha256 <> '' AND p_sha256 <> sha256 THEN
    RAISE EXCEPTION 'other weights have this version, claim again: version %', p_version USING ERRCODE = 'GN005';
  END IF;
  -- The plan knows the version, so it touches one leaf only and never waits for one that is being freed.
  IF v_in_ring THEN
    OPEN v_cursor FOR SELECT b.data FROM gannet.weights_blob b
      WHERE b.run_id = p_run AND b.version % ${kBlobRing} = p_version % ${kBlobRing} AND b.version = p_version ORDER BY b.seq;
  ELSE
    OPEN v_cursor FOR SELECT b.data FROM gannet.weights_kept_blob b
      WHERE b.run_id = p_run AND b.version = p_version ORDER BY b.seq;
  END IF;
  RETURN NEXT;
END
$$;

-- Whether the ledger has this row. Volatile, so that each call sees what others have committed.
CREATE FUNCTION gannet.is_noted(
  p_run bigint, p_round bigint, p_unit bigint, p_attempt integer, p_worker text, p_outcome smallint
)
RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (SELECT FROM gannet.ledger l
                  WHERE l.run_id = p_run AND l.round = p_round AND l.unit_id = p_unit AND l.attempt = p_attempt AND l.worker_id = p_worker
                    AND l.outcome = p_outcome)
$$;

-- The rules of ClassifySubmit, in its order, for a gradient that is not kept now: its outcome, or 0 when it could still be kept. Writes
-- the ledger's row of an outcome, once, when the attempt was a lease of the worker.
CREATE FUNCTION gannet.classify_submission(
  p_worker text, p_run bigint, p_unit bigint, p_attempt integer, p_image_count integer, p_micro_batch_count integer,
  p_sha256 bytea
)
RETURNS smallint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
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
    v_outcome := ${SubmitOutcome::kAlreadyAccepted};
  ELSIF p_attempt = v_unit.attempt AND v_unit.holder = p_worker
        AND EXISTS (SELECT FROM gannet.gradient g WHERE g.run_id = p_run AND g.round = v_unit.round AND g.slot = v_unit.slot
                       AND g.unit_id <> p_unit) THEN
    v_outcome := ${SubmitOutcome::kDuplicate};
  ELSIF v_unit.state IN ('closed', 'failed') THEN
    v_outcome := ${SubmitOutcome::kClosed};
  ELSIF p_attempt <> v_unit.attempt OR v_unit.state = 'done' OR v_unit.holder IS DISTINCT FROM p_worker THEN
    v_outcome := ${SubmitOutcome::kSuperseded};
  END IF;
  -- The ledger is of leases: an attempt that is unknown, or another's, has none, and whoever asks about such ones shall not fill it. A lease that is no
  -- more has the row of its end, in one of the rounds that its unit has been in.
  IF v_outcome = 0 OR (p_attempt = v_unit.attempt AND v_unit.holder = p_worker) IS NOT TRUE AND NOT EXISTS (
       SELECT FROM gannet.ledger l
        WHERE l.run_id = p_run AND l.round BETWEEN v_unit.round - v_unit.stale_rounds AND v_unit.round AND l.unit_id = p_unit
          AND l.attempt = p_attempt AND l.worker_id = p_worker AND l.outcome >= ${kFirstLedgerOutcome}) THEN
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
  IF v_outcome IN (${SubmitOutcome::kSuperseded}, ${SubmitOutcome::kClosed}, ${SubmitOutcome::kDuplicate}) THEN  -- IsWasted
    UPDATE gannet.work_unit u SET wasted_attempt = p_attempt
     WHERE u.unit_id = p_unit AND u.wasted_attempt < p_attempt;
    IF FOUND THEN
      UPDATE gannet.worker w
         SET wasted_image_count = w.wasted_image_count + v_unit.image_count,
             duplicate_unit_count = w.duplicate_unit_count + (CASE WHEN v_outcome = ${SubmitOutcome::kDuplicate} THEN 1 ELSE 0 END)
       WHERE w.run_id = p_run AND w.worker_id = p_worker;
    END IF;
  END IF;
  RETURN v_outcome;
END
$$;

-- What would become of a submission, before its bytes are sent: its outcome, or 0 when it would be kept now.
CREATE FUNCTION gannet.check_submission(
  p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer,
  p_image_count integer, p_micro_batch_count integer, p_sha256 bytea
)
RETURNS smallint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  RETURN gannet.classify_submission(p_worker, p_run, p_unit, p_attempt, p_image_count, p_micro_batch_count, p_sha256);
END
$$;

-- Stores bytes of a large gradient ahead of submit_gradient, in the same transaction: nobody sees them until that keeps the gradient. The
-- plan is generic because one that knows the values would copy them.
CREATE FUNCTION gannet.stage_gradient(
  p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer, p_first_seq integer,
  p_bytes bytea
)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET lock_timeout = '10s'
AS $$
DECLARE
  v_round bigint;
  v_bytes_max bigint;
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  SELECT coalesce(r.gradient_bytes_max, ${kMaxPayloadBytes}) INTO v_bytes_max FROM gannet.run r WHERE r.run_id = p_run;
  IF (p_first_seq BETWEEN 0 AND ${kMaxBlobSeq} AND p_first_seq * ${kBlobRowBytes}::bigint + octet_length(p_bytes) <= v_bytes_max) IS NOT TRUE THEN
    RAISE EXCEPTION 'a gradient of this run has at most % bytes', v_bytes_max USING ERRCODE = 'GN008';
  END IF;
  SELECT u.round INTO v_round FROM gannet.work_unit u WHERE u.unit_id = p_unit AND u.run_id = p_run;
  IF p_first_seq > 0 AND nullif(current_setting('gannet.staged_in_round', true), '') <> v_round::text THEN
    -- See submit_gradient.
    RAISE EXCEPTION 'the unit changed while its gradient was received: %', p_unit USING ERRCODE = 'GN010';
  END IF;
  PERFORM set_config('gannet.staged_in_round', v_round::text, true);
  INSERT INTO gannet.gradient_blob (run_id, round, unit_id, attempt, seq, data)
  SELECT p_run, v_round, p_unit, p_attempt, p_first_seq + n, substring(p_bytes FROM 1 + n * ${kBlobRowBytes} FOR ${kBlobRowBytes})
    FROM gannet.work_unit u, generate_series(0, (octet_length(p_bytes) - 1) / ${kBlobRowBytes}) AS n
   WHERE u.unit_id = p_unit AND u.run_id = p_run
     AND u.attempt = p_attempt AND u.holder = p_worker AND u.state IN ('leased', 'ready');
  IF NOT FOUND THEN
    -- The sender asks check_submission again.
    RAISE EXCEPTION 'the unit changed while its gradient was received: %', p_unit USING ERRCODE = 'GN010';
  END IF;
END
$$;

-- Keeps a gradient, or says why not. p_gradient: its statistics, codec and payload_bytes. p_bytes are its last ones; those before p_first_seq have
-- been staged. The accept is one statement, behind its fence: everything else hangs on the row the fence lets through. Whatever timeouts its session has, it waits for no lock longer than it
-- says here, for it holds the turn meanwhile: bytes that another session stages under the same attempt would make it wait.
CREATE FUNCTION gannet.submit_gradient(
  p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer,
  p_gradient jsonb, p_sha256 bytea, p_first_seq integer, p_bytes bytea
)
RETURNS smallint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET lock_timeout = '10s'
AS $$
DECLARE
  v_now timestamptz := gannet.clock_now();
  v_gradient record;
  v_micro_batch integer;
  v_codec smallint;
  v_bytes_max bigint;
  v_round bigint;
  v_outcome smallint;
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  SELECT * INTO v_gradient FROM jsonb_to_record(p_gradient) AS g(
    image_count integer, micro_batch_count integer, discriminator_loss double precision, generator_loss double precision,
    real_accuracy double precision, fake_accuracy double precision, compute_seconds double precision, codec smallint, payload_bytes bigint);
  -- Whether staged rows and checksum are right is seen by the coordinator, which reads the bytes anyway and rejects the gradient.
  IF (v_gradient.codec IS NOT NULL AND octet_length(p_sha256) = 32 AND octet_length(p_bytes) > 0 AND p_first_seq BETWEEN 0 AND ${kMaxBlobSeq}
      AND v_gradient.payload_bytes = p_first_seq * ${kBlobRowBytes}::bigint + octet_length(p_bytes)) IS NOT TRUE THEN
    RAISE EXCEPTION 'the payload must have a codec, 32 bytes of sha256, and as many bytes as it says' USING ERRCODE = 'GN003';
  END IF;
  -- The limits of libs/domain/gradient_limits.h. Not a number is more than infinity here.
  IF (abs(v_gradient.discriminator_loss) <= ${kDivergedLoss} AND abs(v_gradient.generator_loss) <= ${kDivergedLoss}
      AND v_gradient.real_accuracy BETWEEN 0 AND 1 AND v_gradient.fake_accuracy BETWEEN 0 AND 1
      AND v_gradient.compute_seconds BETWEEN 0 AND ${kMaxComputeSeconds}) IS NOT TRUE THEN
    RAISE EXCEPTION 'stats must have losses between -${kDivergedLoss} and ${kDivergedLoss}, accuracies between 0 and 1 and compute_seconds between 0 and ${kMaxComputeSeconds}'
      USING ERRCODE = 'GN003';
  END IF;
  SELECT r.micro_batch, r.gradient_codec, coalesce(r.gradient_bytes_max, ${kMaxPayloadBytes}) INTO v_micro_batch, v_codec, v_bytes_max
    FROM gannet.run r WHERE r.run_id = p_run;
  IF v_gradient.codec <> v_codec THEN
    RAISE EXCEPTION 'payload.codec is not the run''s: expected %, got %', v_codec, v_gradient.codec USING ERRCODE = 'GN003';
  END IF;
  IF v_gradient.payload_bytes > v_bytes_max THEN
    RAISE EXCEPTION 'a gradient of this run has at most % bytes, got %', v_bytes_max, v_gradient.payload_bytes USING ERRCODE = 'GN008';
  END IF;
  -- Whoever would not be let through the fence below holds up nobody.
  IF NOT EXISTS (SELECT FROM gannet.work_unit u
                  WHERE u.unit_id = p_unit AND u.run_id = p_run
                    AND (/* fence */ u.attempt = p_attempt AND u.holder = p_worker AND u.state IN ('leased', 'ready') /* fence */)) THEN
    v_outcome := gannet.classify_submission(
      p_worker, p_run, p_unit, p_attempt, v_gradient.image_count, v_gradient.micro_batch_count, p_sha256);
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
       AND u.image_count = v_gradient.image_count AND greatest(1, u.image_count / v_micro_batch) = v_gradient.micro_batch_count
       AND (/* fence */ u.attempt = p_attempt AND u.holder = p_worker AND u.state IN ('leased', 'ready') /* fence */)
       AND NOT EXISTS (SELECT FROM gannet.gradient g WHERE g.run_id = p_run AND g.round = u.round AND g.slot = u.slot)
    RETURNING u.round, u.slot,
              CASE WHEN u.lease_until > v_now THEN ${SubmitOutcome::kAccepted} ELSE ${SubmitOutcome::kLate} END AS outcome
  ), kept AS (
    INSERT INTO gannet.gradient (
        unit_id, run_id, round, slot, attempt, worker_id, image_count, micro_batch_count, discriminator_loss, generator_loss,
        real_accuracy, fake_accuracy, compute_seconds, codec, sha256, payload_bytes, accepted_at)
    SELECT p_unit, p_run, a.round, a.slot, p_attempt, p_worker, v_gradient.image_count, v_gradient.micro_batch_count,
           v_gradient.discriminator_loss, v_gradient.generator_loss, v_gradient.real_accuracy, v_gradient.fake_accuracy,
           v_gradient.compute_seconds, v_gradient.codec, p_sha256, v_gradient.payload_bytes, v_now
      FROM accepted a
  ), stored AS (
    INSERT INTO gannet.gradient_blob (run_id, round, unit_id, attempt, seq, data)
    SELECT p_run, a.round, p_unit, p_attempt, p_first_seq + n, substring(p_bytes FROM 1 + n * ${kBlobRowBytes} FOR ${kBlobRowBytes})
      FROM accepted a, generate_series(0, (octet_length(p_bytes) - 1) / ${kBlobRowBytes}) AS n
  ), credited AS (
    UPDATE gannet.worker w
       SET accepted_unit_count = w.accepted_unit_count + 1, accepted_image_count = w.accepted_image_count + v_gradient.image_count,
           last_seen = v_now, has_left = false
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
    v_outcome := gannet.classify_submission(
      p_worker, p_run, p_unit, p_attempt, v_gradient.image_count, v_gradient.micro_batch_count, p_sha256);
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

-- Renews leases and records liveness. dropped: the units not renewed, ascending.
CREATE FUNCTION gannet.heartbeat(
  p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_units bigint[], p_attempts integer[],
  p_micro_batches_done integer[]
)
RETURNS TABLE (run_state text, dropped bigint[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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
  IF (cardinality(p_units) <= ${kMaxHeldUnits} AND cardinality(p_attempts) = cardinality(p_units)
      AND cardinality(p_micro_batches_done) = cardinality(p_units)) IS NOT TRUE THEN
    RAISE EXCEPTION 'progress must be three lists of the same length, at most ${kMaxHeldUnits}' USING ERRCODE = 'GN003';
  END IF;
  SELECT r.state::text, r.lease, gannet.unit_lease(r.lease, r.median_unit_us), r.micro_batch
    INTO run_state, v_configured_lease, v_lease, v_micro_batch
    FROM gannet.run r WHERE r.run_id = p_run;
  SELECT ${kMaxLeasesPerWorker} - count(*) INTO v_free FROM gannet.work_unit u
   WHERE u.run_id = p_run AND u.holder = p_worker AND u.state = 'leased';
  WITH held AS (
    -- More than all of them cannot be done: whoever says so makes no progress.
    SELECT h.unit_id, h.attempt, least(h.done, greatest(1, u.image_count / v_micro_batch)) AS done
      FROM unnest(p_units, p_attempts, p_micro_batches_done) AS h(unit_id, attempt, done)
      LEFT JOIN gannet.work_unit u ON u.unit_id = h.unit_id AND u.run_id = p_run
  ), renewable AS MATERIALIZED (
    -- Also one whose lease has expired, and that nobody has claimed since.
    SELECT u.unit_id, u.state, h.done FROM gannet.work_unit u JOIN held h ON h.unit_id = u.unit_id
     WHERE u.run_id = p_run AND (u.state = 'leased' OR (u.state = 'ready' AND u.lease_until IS NOT NULL))
       AND u.holder = p_worker AND u.attempt = h.attempt
       AND (h.done > u.micro_batches_done OR v_now - u.progress_at <= ${kLeasesOfStall} * v_configured_lease)
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
  UPDATE gannet.worker w SET last_seen = v_now, has_left = false WHERE w.run_id = p_run AND w.worker_id = p_worker;
  RETURN NEXT;
END
$$;

CREATE FUNCTION gannet.release_unit(
  p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer
)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  -- No unit is not every unit.
  IF p_unit IS NOT NULL AND gannet.release_units(p_run, p_worker, p_unit, p_attempt) > 0 THEN
    PERFORM pg_notify('gannet_work', p_run::text);
  END IF;
END
$$;

-- What a unit becomes when it is released, or revoked from its holder.
CREATE FUNCTION gannet.state_after_requeue(p_is_speculative boolean)
RETURNS gannet.unit_state
LANGUAGE sql IMMUTABLE
RETURN (CASE WHEN p_is_speculative THEN 'closed' ELSE 'ready' END)::gannet.unit_state;

-- RequeueBackoff of libs/domain/unit_state.h, for a unit that was not released or taken over.
CREATE FUNCTION gannet.requeue_backoff(p_attempt integer)
RETURNS interval
LANGUAGE sql IMMUTABLE
RETURN CASE
  WHEN p_attempt <= 1 THEN interval '0'
  ELSE least(interval '${kMaxRequeueBackoff}', (1 << least(p_attempt - 2, ${kMaxRequeueDoublings})) * interval '${kFirstRequeueBackoff}')
END;

-- What a unit becomes with its failure number p_failures.
CREATE FUNCTION gannet.state_after_failure(p_failures integer)
RETURNS gannet.unit_state
LANGUAGE sql IMMUTABLE
RETURN (CASE WHEN p_failures >= ${kMaxUnitFailures} THEN 'failed' ELSE 'ready' END)::gannet.unit_state;

-- After a unit has been returned because of a failure: tells who waits, and pauses the run when it has failed permanently. The caller has locked the run.
CREATE FUNCTION gannet.announce_failure(p_run bigint, p_unit bigint)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_unit gannet.work_unit;
BEGIN
  SELECT * INTO v_unit FROM gannet.work_unit u WHERE u.unit_id = p_unit;
  IF v_unit.state = 'failed' THEN
    UPDATE gannet.run r
       SET state = 'paused',
           state_reason = left(format('round %s slot %s failed %s times, last%s: %s', v_unit.round, v_unit.slot, v_unit.failures,
                                      ' by worker ' || v_unit.holder, v_unit.failure_reason), ${kMaxReasonChars})
     WHERE r.run_id = p_run AND r.state = 'running';
    PERFORM pg_notify('gannet_round', p_run::text);
  END IF;
  PERFORM pg_notify('gannet_work', p_run::text);
END
$$;

CREATE FUNCTION gannet.fail_unit(
  p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer, p_reason text
)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_round bigint;
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  PERFORM gannet.require_text('reason', p_reason, ${kMaxReasonChars});
  -- Only a failure that may pause the run holds it: whoever leaves his transaction open behind this call holds his own unit, and nothing else.
  IF EXISTS (SELECT FROM gannet.work_unit u
              WHERE u.unit_id = p_unit AND u.run_id = p_run AND u.attempt = p_attempt AND u.holder = p_worker AND u.state = 'leased'
                AND NOT u.is_speculative AND gannet.state_after_failure(u.failures + 1) = 'failed') THEN
    PERFORM FROM gannet.run r WHERE r.run_id = p_run FOR NO KEY UPDATE;
  END IF;
  UPDATE gannet.work_unit u
     SET state = CASE WHEN u.is_speculative THEN 'closed' ELSE gannet.state_after_failure(u.failures + 1) END, lease_until = NULL,
         failures = u.failures + 1, failure_reason = p_reason, failed_by = gannet.failed_also_by(u.failed_by, p_worker),
         ready_at = gannet.clock_now() + gannet.requeue_backoff(u.attempt)
   WHERE u.unit_id = p_unit AND u.run_id = p_run AND u.attempt = p_attempt AND u.holder = p_worker AND u.state = 'leased'
  RETURNING u.round INTO v_round;
  IF FOUND THEN
    INSERT INTO gannet.ledger (run_id, round, unit_id, attempt, worker_id, outcome, noted_at)
    VALUES (p_run, v_round, p_unit, p_attempt, p_worker, ${LedgerOutcome::kFailed}, gannet.clock_now());
    PERFORM gannet.announce_failure(p_run, p_unit);
  END IF;
END
$$;

CREATE FUNCTION gannet.leave_run(p_worker text, p_secret text, p_incarnation bigint, p_run bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM gannet.require_worker(p_worker, p_secret, p_incarnation, p_run);
  IF gannet.release_units(p_run, p_worker) > 0 THEN
    PERFORM pg_notify('gannet_work', p_run::text);
  END IF;
  UPDATE gannet.worker w SET has_left = true WHERE w.run_id = p_run AND w.worker_id = p_worker;
END
$$;

-- GatewayReports::Report. Whoever calls it may be a worker in direct mode that lies, so it is small, and so is what it leaves behind.
CREATE FUNCTION gannet.report_gateway(p_gateway text, p_refusing text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM gannet.require_text('the name of a gateway', p_gateway, ${kMaxGatewayNameChars});
  -- Of characters that a host and a port have: people must not be shown a stranger's sentence.
  IF (p_gateway ~ '^[A-Za-z0-9._-]+:[0-9]+$' AND p_refusing ~ '^([a-z_]{1,${kMaxRefusalChars}}(,[a-z_]{1,${kMaxRefusalChars}})*)?$'
      AND cardinality(string_to_array(p_refusing, ',')) <= ${kMaxRefusals}) IS NOT TRUE THEN
    RAISE EXCEPTION 'a gateway is called HOST:PORT, and has at most ${kMaxRefusals} reasons of at most ${kMaxRefusalChars} small letters each' USING ERRCODE = 'GN003';
  END IF;
  IF p_refusing = '' THEN
    DELETE FROM gannet.gateway_report g WHERE g.gateway = p_gateway;
    RETURN;
  END IF;
  INSERT INTO gannet.gateway_report (gateway, refusing, reported_at) VALUES (p_gateway, p_refusing, clock_timestamp())
  ON CONFLICT (gateway) DO UPDATE SET refusing = excluded.refusing, reported_at = excluded.reported_at;
  DELETE FROM gannet.gateway_report g
   WHERE g.gateway IN (SELECT o.gateway FROM gannet.gateway_report o ORDER BY o.reported_at DESC OFFSET ${kMaxGatewayReports});
END
$$;
