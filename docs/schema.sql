-- The schema as libs/store/migrations makes it, to read: `gannet migrate` makes a database.
-- Written by GANNET_UPDATE_SCHEMA=1 ./run test -R store_pg_schema_test; without the variable
-- that test compares. The comments are those of A__describe_tables.sql.

CREATE TYPE gannet.unit_state AS ENUM ('ready', 'leased', 'done', 'failed', 'closed');
CREATE TYPE gannet.run_state AS ENUM ('running', 'paused', 'finished', 'stopped');
CREATE SEQUENCE gannet.unit_number;
CREATE SEQUENCE gannet.run_number;

-- Accepts of a run take turns by this row; no worker has rights on it
CREATE TABLE gannet.accept_turn (
  run_id bigint NOT NULL,
  PRIMARY KEY (run_id),
  FOREIGN KEY (run_id) REFERENCES gannet.run(run_id) ON DELETE CASCADE
);

-- As gradient_blob, by version modulo kAdamRing
CREATE TABLE gannet.adam_blob (
  run_id bigint NOT NULL,
  version bigint NOT NULL,
  seq integer NOT NULL,
  data bytea STORAGE PLAIN NOT NULL
) PARTITION BY LIST (run_id);

-- Adam's moments of the current version
CREATE TABLE gannet.adam_state (
  run_id bigint NOT NULL,
  version bigint NOT NULL,
  codec smallint NOT NULL,
  sha256 bytea NOT NULL,
  payload_bytes bigint NOT NULL,
  PRIMARY KEY (run_id),
  FOREIGN KEY (run_id) REFERENCES gannet.run(run_id)
);

-- As gradient_blob, by turn modulo kBestRing; the first save_best of a run makes the leaves
CREATE TABLE gannet.best_blob (
  run_id bigint NOT NULL,
  turn bigint NOT NULL,
  seq integer NOT NULL,
  data bytea STORAGE PLAIN NOT NULL
) PARTITION BY LIST (run_id);

-- The weights that made the best images so far
CREATE TABLE gannet.best_weights (
  run_id bigint NOT NULL,
  version bigint NOT NULL,
  distance double precision NOT NULL,
  codec smallint NOT NULL,
  sha256 bytea NOT NULL,
  payload_bytes bigint NOT NULL,
  turn bigint NOT NULL,  -- how often a best was kept; says where the bytes are
  PRIMARY KEY (run_id),
  FOREIGN KEY (run_id) REFERENCES gannet.run(run_id)
);

-- What gateways refuse at the moment (libs/exchange/gateway_reports.h)
CREATE TABLE gannet.gateway_report (
  gateway text NOT NULL,
  refusing text NOT NULL,  -- labels of reasons, separated by commas
  reported_at timestamp with time zone NOT NULL,
  PRIMARY KEY (gateway)
);

-- What is known of an accepted gradient, kept permanently; both unique keys back the fence of the accept
CREATE TABLE gannet.gradient (
  unit_id bigint NOT NULL,
  run_id bigint NOT NULL,
  round bigint NOT NULL,
  slot integer NOT NULL,
  attempt integer NOT NULL,
  worker_id text COLLATE "C" NOT NULL,
  image_count integer NOT NULL,
  micro_batch_count integer NOT NULL,
  discriminator_loss double precision NOT NULL,
  generator_loss double precision NOT NULL,
  real_accuracy double precision NOT NULL,
  fake_accuracy double precision NOT NULL,
  compute_seconds double precision NOT NULL,
  codec smallint NOT NULL,  -- gannet.v1.Codec
  sha256 bytea NOT NULL,  -- of the bytes, as their sender states it
  payload_bytes bigint NOT NULL,
  has_bytes boolean NOT NULL DEFAULT true,  -- false once reclaim_old_blobs has freed them
  accepted_at timestamp with time zone NOT NULL DEFAULT now(),
  PRIMARY KEY (unit_id),
  UNIQUE (run_id, round, slot),
  FOREIGN KEY (unit_id) REFERENCES gannet.work_unit(unit_id)
);
CREATE INDEX gradient_with_bytes ON gannet.gradient USING btree (run_id, round) WHERE has_bytes;

-- Bytes in rows that fill a page (docs/adr/0003); one partition a run, below it a ring of leaves, which create_run makes, by round modulo kBlobRing
CREATE TABLE gannet.gradient_blob (
  run_id bigint NOT NULL,
  round bigint NOT NULL,
  unit_id bigint NOT NULL,
  attempt integer NOT NULL,
  seq integer NOT NULL,  -- from 0
  data bytea STORAGE PLAIN NOT NULL
) PARTITION BY LIST (run_id);

-- How each lease ended; the rounds of the ring
CREATE TABLE gannet.ledger (
  run_id bigint NOT NULL,
  round bigint NOT NULL,
  unit_id bigint NOT NULL,
  attempt integer NOT NULL,
  worker_id text COLLATE "C" NOT NULL,
  outcome smallint NOT NULL,  -- gannet.v1.SubmitOutcome, or LedgerOutcome of libs/store/ledger_outcome.h
  noted_at timestamp with time zone NOT NULL
);
CREATE INDEX ledger_round ON gannet.ledger USING btree (run_id, round);

-- The history of a run, kept permanently
CREATE TABLE gannet.round_summary (
  run_id bigint NOT NULL,
  round bigint NOT NULL,
  epoch bigint NOT NULL,  -- of the data
  gradient_count integer NOT NULL,
  image_count integer NOT NULL,
  discriminator_loss double precision NOT NULL,
  generator_loss double precision NOT NULL,
  real_accuracy double precision NOT NULL,
  fake_accuracy double precision NOT NULL,
  seconds double precision NOT NULL,
  published_at timestamp with time zone NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, round),
  FOREIGN KEY (run_id) REFERENCES gannet.run(run_id)
);

-- A training, its state and its leader
CREATE TABLE gannet.run (
  run_id bigint NOT NULL DEFAULT ((nextval('gannet.run_number'::regclass) << 24) | (floor((random() * ((1 << 24))::double precision)))::bigint),  -- the lower 24 bits are drawn, so that none comes again (docs/adr/0010)
  name text NOT NULL,
  config jsonb NOT NULL,  -- gannet.v1.RunConfig as JSON, as it was made
  state gannet.run_state NOT NULL DEFAULT 'running'::gannet.run_state,
  state_reason text NOT NULL DEFAULT ''::text,
  weights_version bigint NOT NULL DEFAULT 0,  -- the current one; the open round is the next
  seed numeric(20,0) NOT NULL,  -- unsigned, 64 bits; from here on what the functions need of the config
  lease interval NOT NULL,  -- as set last
  micro_batch integer NOT NULL,
  data_kind text NOT NULL,
  data_image_count bigint NOT NULL,
  data_digest text NOT NULL,
  leader_id text,  -- null: nobody leads
  leader_term bigint NOT NULL DEFAULT 0,
  leader_until timestamp with time zone,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  speculation_multiplier double precision NOT NULL DEFAULT 0,  -- as set last
  median_unit_us bigint NOT NULL DEFAULT 0,  -- of the round published last, the median; 0: not known yet
  settings_version bigint NOT NULL DEFAULT 0,  -- another one after each change of settings
  gradient_codec smallint NOT NULL DEFAULT 1,  -- gannet.v1.Codec
  gradient_bytes_max bigint,  -- what a gradient has at most
  PRIMARY KEY (run_id),
  UNIQUE (name),
  CHECK ((micro_batch > 0))
) WITH (fillfactor=50);

-- Settings that were changed during the run
CREATE TABLE gannet.run_change (
  run_id bigint NOT NULL,
  from_round bigint NOT NULL,
  config jsonb NOT NULL,  -- gannet.v1.RunConfig as JSON, complete
  reason text NOT NULL,
  changed_at timestamp with time zone NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, from_round),
  FOREIGN KEY (run_id) REFERENCES gannet.run(run_id)
);

-- Which scripts have been run, by the migrator (libs/pg/migrator.h)
CREATE TABLE gannet.schema_migration (
  file_name text NOT NULL,
  version integer,  -- null: of functions, run again whenever one has changed
  sha256 text NOT NULL,  -- of the text that was run
  applied_at timestamp with time zone NOT NULL DEFAULT now(),
  PRIMARY KEY (file_name),
  UNIQUE (version)
);

-- Published versions whose bytes are there
CREATE TABLE gannet.weights (
  run_id bigint NOT NULL,
  version bigint NOT NULL,
  codec smallint NOT NULL,  -- gannet.v1.Codec
  sha256 bytea NOT NULL,
  payload_bytes bigint NOT NULL,
  keep boolean NOT NULL,  -- kept permanently
  in_ring boolean NOT NULL DEFAULT true,  -- false: the bytes have moved to weights_kept_blob
  PRIMARY KEY (run_id, version),
  FOREIGN KEY (run_id) REFERENCES gannet.run(run_id)
);

-- As gradient_blob, by version modulo kBlobRing
CREATE TABLE gannet.weights_blob (
  run_id bigint NOT NULL,
  version bigint NOT NULL,
  seq integer NOT NULL,
  data bytea STORAGE PLAIN NOT NULL
) PARTITION BY LIST (run_id);

-- Bytes of weights that are kept permanently and have left the ring
CREATE TABLE gannet.weights_kept_blob (
  run_id bigint NOT NULL,
  version bigint NOT NULL,
  seq integer NOT NULL,
  data bytea STORAGE PLAIN NOT NULL,
  PRIMARY KEY (run_id, version, seq)
);

-- Images of which somebody computes the gradient (libs/domain/unit_state.h); small once its round is published
CREATE TABLE gannet.work_unit (
  unit_id bigint NOT NULL DEFAULT ((nextval('gannet.unit_number'::regclass) << 24) | (floor((random() * ((1 << 24))::double precision)))::bigint),  -- drawn as run_id is
  run_id bigint NOT NULL,
  round bigint NOT NULL,
  slot integer NOT NULL,
  image_count integer NOT NULL,
  image_indices bigint[],  -- null once the round is published
  state gannet.unit_state NOT NULL DEFAULT 'ready'::gannet.unit_state,
  attempt integer NOT NULL DEFAULT 0,  -- the fence: one more with each claim
  holder text COLLATE "C",  -- the last claimer; null when none or forgotten
  claim_request text,  -- the request id of the last claim
  lease_until timestamp with time zone,  -- null after a return; in no index, so that heartbeats stay HOT
  progress_at timestamp with time zone,
  micro_batches_done integer NOT NULL DEFAULT 0,
  failures integer NOT NULL DEFAULT 0,
  failure_reason text NOT NULL DEFAULT ''::text,
  consumed boolean NOT NULL DEFAULT false,  -- its gradient is in the published weights
  claimed_at timestamp with time zone,  -- of the last claim
  is_speculative boolean NOT NULL DEFAULT false,  -- closed, not requeued, when its lease ends: a second unit in the slot of a straggler, or one carried over
  wasted_attempt integer NOT NULL DEFAULT 0,  -- the last attempt that was counted as wasted
  ready_at timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,  -- a ready unit is given to nobody before (RequeueBackoff)
  stale_rounds smallint NOT NULL DEFAULT 0,  -- publications since it was claimed
  claimed_slot integer,  -- null: slot
  failed_by text[] NOT NULL DEFAULT '{}'::text[],  -- since it was made, or the run resumed: others get it first
  PRIMARY KEY (unit_id),
  FOREIGN KEY (run_id) REFERENCES gannet.run(run_id)
) WITH (fillfactor=50, autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_threshold=500);
CREATE INDEX work_unit_leased ON gannet.work_unit USING btree (run_id, holder) WHERE (state = 'leased'::gannet.unit_state);
CREATE INDEX work_unit_ready ON gannet.work_unit USING btree (run_id, round, slot) WHERE (state = 'ready'::gannet.unit_state);
CREATE INDEX work_unit_round ON gannet.work_unit USING btree (run_id, round, slot);

-- Who has joined a run, and what it has done
CREATE TABLE gannet.worker (
  run_id bigint NOT NULL,
  worker_id text COLLATE "C" NOT NULL,  -- 32 hexadecimal digits
  secret_sha256 bytea NOT NULL,
  incarnation bigint NOT NULL,  -- of its newest start
  display_name text NOT NULL,
  hardware text NOT NULL,
  accepted_unit_count bigint NOT NULL DEFAULT 0,
  accepted_image_count bigint NOT NULL DEFAULT 0,
  last_seen timestamp with time zone NOT NULL,
  has_left boolean NOT NULL DEFAULT false,
  duplicate_unit_count bigint NOT NULL DEFAULT 0,
  wasted_image_count bigint NOT NULL DEFAULT 0,
  net_rejections integer NOT NULL DEFAULT 0,  -- less one for each gradient that was published
  removed_reason text,  -- null: not removed
  PRIMARY KEY (run_id, worker_id),
  FOREIGN KEY (run_id) REFERENCES gannet.run(run_id)
) WITH (fillfactor=50);

-- Functions of R__*.sql: parameters, result, and who may execute them.
--
-- acquire_leadership(p_run bigint, p_leader text, p_ttl_us bigint)
--   -> bigint; gannet_coordinator
-- add_summaries(p_run bigint, p_summaries jsonb)
--   -> void; other functions
-- add_units(p_run bigint, p_round bigint, p_units jsonb)
--   -> void; other functions
-- announce_failure(p_run bigint, p_unit bigint)
--   -> void; other functions
-- change_settings(p_run bigint, p_round bigint, p_change jsonb)
--   -> void; gannet_coordinator
-- check_submission(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer, p_image_count integer, p_micro_batch_count integer, p_sha256 bytea)
--   -> smallint; gannet_worker
-- claim_unit(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_request text)
--   -> TABLE(run_state text, unit_id bigint, attempt integer, round bigint, slot integer, image_indices bigint[], micro_batch integer, seed numeric, lease_us bigint, weights_sha256 bytea); gannet_worker
-- classify_submission(p_worker text, p_run bigint, p_unit bigint, p_attempt integer, p_image_count integer, p_micro_batch_count integer, p_sha256 bytea)
--   -> smallint; other functions
-- clock_now()
--   -> timestamp with time zone; gannet_coordinator
-- config_of(p_run bigint, p_round bigint)
--   -> jsonb; gannet_coordinator
-- connections_of_a_role()
--   -> integer; other functions
-- create_blob_ring(p_parent text, p_run bigint, p_key text, p_leaves integer, p_unique text)
--   -> void; other functions
-- create_run(p_request jsonb, p_weights_sha256 bytea, p_adam_sha256 bytea)
--   -> bigint; gannet_coordinator
-- delete_run(p_run bigint)
--   -> void; gannet_coordinator
-- describe_run(p_worker text, p_secret text, p_incarnation bigint, p_run bigint)
--   -> TABLE(config text, run_state text); gannet_worker
-- end_excess_sessions()
--   -> integer; gannet_coordinator
-- end_session(p_pid integer, p_transaction text)
--   -> boolean; gannet_coordinator
-- fail_unit(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer, p_reason text)
--   -> void; gannet_worker
-- failed_also_by(p_failed_by text[], p_worker text)
--   -> text[]; other functions
-- find_straggler(p_run bigint, p_worker text, p_now timestamp with time zone, p_limit interval)
--   -> bigint; other functions
-- free_blob_leaf(p_leaf text, p_key text, p_below bigint, p_newer text)
--   -> void; other functions
-- heartbeat(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_units bigint[], p_attempts integer[], p_micro_batches_done integer[])
--   -> TABLE(run_state text, dropped bigint[]); gannet_worker
-- holds_needed_rows(p_pid integer)
--   -> boolean; other functions
-- is_noted(p_run bigint, p_round bigint, p_unit bigint, p_attempt integer, p_worker text, p_outcome smallint)
--   -> boolean; other functions
-- is_plain_text(p_text text)
--   -> boolean; other functions
-- is_worker_role(p_role oid)
--   -> boolean; other functions
-- join_run(p_worker text, p_secret text, p_incarnation bigint, p_request jsonb)
--   -> TABLE(run_id bigint, config text, run_state text, data_matches boolean); gannet_worker
-- leave_run(p_worker text, p_secret text, p_incarnation bigint, p_run bigint)
--   -> void; gannet_worker
-- may_claim(p_run bigint, p_worker text, p_failed_by text[], p_ready_at timestamp with time zone, p_now timestamp with time zone, p_max_wait interval)
--   -> boolean; other functions
-- open_weights(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_version bigint, p_sha256 bytea)
--   -> TABLE(codec smallint, sha256 bytea, payload_bytes bigint); gannet_worker
-- publish_round(p_run bigint, p_leader text, p_term bigint, p_expected_version bigint, p_expected_sha256 bytea, p_settings_version bigint, p_consumed bigint[], p_consumed_sha256 bytea, p_request jsonb, p_weights_sha256 bytea, p_adam_sha256 bytea)
--   -> void; gannet_coordinator
-- reap_expired_leases(p_run bigint, p_leader text, p_term bigint)
--   -> integer; gannet_coordinator
-- reclaim_blobs(p_run bigint, p_leader text, p_term bigint)
--   -> void; gannet_coordinator
-- reclaim_old_blobs(p_run bigint, p_leader text, p_term bigint, p_round bigint)
--   -> void; gannet_coordinator
-- reject_gradient(p_run bigint, p_leader text, p_term bigint, p_unit bigint, p_reason text)
--   -> text; gannet_coordinator
-- release_unit(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer)
--   -> void; gannet_worker
-- release_units(p_run bigint, p_worker text, p_unit bigint DEFAULT NULL::bigint, p_attempt integer DEFAULT NULL::integer)
--   -> integer; other functions
-- remove_worker(p_run bigint, p_worker text, p_reason text)
--   -> void; gannet_coordinator
-- report_gateway(p_gateway text, p_refusing text)
--   -> void; gannet_worker
-- requeue_backoff(p_attempt integer)
--   -> interval; other functions
-- require_fields(p_function text, p_fields jsonb)
--   -> void; other functions
-- require_identity(p_worker text, p_secret text, p_incarnation bigint)
--   -> void; other functions
-- require_leader(p_run bigint, p_leader text, p_term bigint, p_lock boolean)
--   -> gannet.run; other functions
-- require_not_removed(p_removed_reason text)
--   -> void; other functions
-- require_run(p_run bigint)
--   -> void; other functions
-- require_text(p_field text, p_text text, p_max_chars integer)
--   -> void; other functions
-- require_worker(p_worker text, p_secret text, p_incarnation bigint, p_run bigint)
--   -> void; other functions
-- resign_leadership(p_run bigint, p_leader text, p_term bigint)
--   -> void; gannet_coordinator
-- restore_run(p_run bigint, p_archive jsonb)
--   -> void; gannet_coordinator
-- restore_worker(p_run bigint, p_worker text)
--   -> void; gannet_coordinator
-- revoke_work(p_run bigint, p_worker text)
--   -> void; gannet_coordinator
-- save_best(p_run bigint, p_leader text, p_term bigint, p_best jsonb, p_sha256 bytea)
--   -> bigint; gannet_coordinator
-- schema_state(OUT version integer, OUT functions text)
--   -> record; gannet_coordinator, gannet_worker
-- sessions_holding_locks()
--   -> TABLE(pid integer, transaction text, role_name text); gannet_coordinator
-- set_run_state(p_run bigint, p_from gannet.run_state, p_to gannet.run_state, p_reason text)
--   -> boolean; gannet_coordinator
-- speculation_delay(p_multiplier double precision, p_median_us bigint)
--   -> interval; other functions
-- stage_gradient(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer, p_first_seq integer, p_bytes bytea)
--   -> void; gannet_worker
-- state_after_failure(p_failures integer)
--   -> gannet.unit_state; other functions
-- state_after_requeue(p_is_speculative boolean)
--   -> gannet.unit_state; other functions
-- submit_gradient(p_worker text, p_secret text, p_incarnation bigint, p_run bigint, p_unit bigint, p_attempt integer, p_gradient jsonb, p_sha256 bytea, p_first_seq integer, p_bytes bytea)
--   -> smallint; gannet_worker
-- unit_lease(p_configured interval, p_median_us bigint)
--   -> interval; other functions
