-- Everything a class stores. The words are those of the glossary in README.md; the rules are those of
-- libs/domain/unit_state.h, libs/exchange/exchange.h and libs/exchange/store.h.
--
-- Two roles own no tables and may not log in: grant them to the roles that do.
--   gannet_worker       executes the functions of R__exchange_functions.sql, and can do nothing else;
--   gannet_coordinator  executes those of R__store_functions.sql, reads everything, writes the blobs of weights.
DO $$
DECLARE
  v_role text;
BEGIN
  FOREACH v_role IN ARRAY ARRAY['gannet_worker', 'gannet_coordinator'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = v_role) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', v_role);
      EXCEPTION
        -- Another database of this server was migrated at the same moment.
        WHEN duplicate_object OR unique_violation THEN NULL;
        WHEN insufficient_privilege THEN
          RAISE EXCEPTION 'the role may not create roles: let an administrator run CREATE ROLE % NOLOGIN, or grant CREATEROLE',
            v_role USING ERRCODE = 'GN007';
      END;
    END IF;
  END LOOP;
END
$$;

GRANT USAGE ON SCHEMA gannet TO gannet_worker, gannet_coordinator;

CREATE TYPE gannet.run_state AS ENUM ('running', 'paused', 'finished', 'stopped');
CREATE TYPE gannet.unit_state AS ENUM ('ready', 'leased', 'done', 'failed', 'closed');

-- The only clock of all functions: tests replace it in a database of their own. (A setting would not do: any role may set one.)
CREATE FUNCTION gannet.clock_now() RETURNS timestamptz
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS 'SELECT clock_timestamp()';

-- What services compare with what they know: the version, and file names and checksums of the R__ scripts, one a line.
CREATE FUNCTION gannet.schema_state(OUT version integer, OUT functions text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT coalesce(max(m.version), 0),
         string_agg(m.file_name || ' ' || m.sha256, E'\n' ORDER BY m.file_name COLLATE "C") FILTER (WHERE m.version IS NULL)
    FROM gannet.schema_migration m
$$;

CREATE TABLE gannet.run (
  run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  config jsonb NOT NULL,                -- gannet.v1.RunConfig as JSON
  state gannet.run_state NOT NULL DEFAULT 'running',
  state_reason text NOT NULL DEFAULT '',
  weights_version bigint NOT NULL DEFAULT 0,  -- the current one; the open round is the next
  -- What the functions need of the config.
  seed numeric(20, 0) NOT NULL,         -- unsigned, 64 bits
  lease interval NOT NULL,
  micro_batch integer NOT NULL CHECK (micro_batch > 0),
  data_kind text NOT NULL,
  data_image_count bigint NOT NULL,
  data_digest text NOT NULL,
  -- The leader of record: none when leader_id is null.
  leader_id text,
  leader_epoch bigint NOT NULL DEFAULT 0,
  leader_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);               -- renewals of leadership and publications stay HOT

CREATE TABLE gannet.worker (
  run_id bigint NOT NULL REFERENCES gannet.run,
  worker_id text COLLATE "C" NOT NULL,
  secret_sha256 bytea NOT NULL,
  incarnation bigint NOT NULL,
  display_name text NOT NULL,
  hardware text NOT NULL,
  accepted_unit_count bigint NOT NULL DEFAULT 0,
  accepted_image_count bigint NOT NULL DEFAULT 0,
  last_seen timestamptz NOT NULL,
  signed_off boolean NOT NULL DEFAULT false,
  PRIMARY KEY (run_id, worker_id)
) WITH (fillfactor = 50);

-- A row stays for good, small once its round is published, so that a repeated submission is answered the same for ever.
CREATE TABLE gannet.work_unit (
  unit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id bigint NOT NULL REFERENCES gannet.run,
  round bigint NOT NULL,
  slot integer NOT NULL,
  image_count integer NOT NULL,
  image_indices bigint[],               -- null once the round is published
  state gannet.unit_state NOT NULL DEFAULT 'ready',
  attempt integer NOT NULL DEFAULT 0,
  holder text COLLATE "C",              -- the last claimer; null when none or forgotten
  claim_request text,                   -- the request id of that claim
  lease_until timestamptz,              -- of the current lease; null after a return. In no index: heartbeats stay HOT
  progress_at timestamptz,
  micro_batches_done integer NOT NULL DEFAULT 0,
  failures integer NOT NULL DEFAULT 0,
  failure_reason text NOT NULL DEFAULT '',
  consumed boolean NOT NULL DEFAULT false
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
CREATE INDEX work_unit_round ON gannet.work_unit (run_id, round, slot);
CREATE INDEX work_unit_ready ON gannet.work_unit (run_id, round, slot) WHERE state = 'ready';
CREATE INDEX work_unit_leased ON gannet.work_unit (run_id, holder) WHERE state = 'leased';

-- What is known of a kept gradient, for good. Both unique keys are walls behind the fence of the accept.
CREATE TABLE gannet.gradient (
  unit_id bigint PRIMARY KEY REFERENCES gannet.work_unit,
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
  codec smallint NOT NULL,              -- gannet.v1.Codec
  sha256 bytea NOT NULL,
  payload_bytes bigint NOT NULL,
  has_bytes boolean NOT NULL DEFAULT true,  -- false once prepare_round has made room
  accepted_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (run_id, round, slot)
);
CREATE INDEX gradient_with_bytes ON gannet.gradient (run_id, round) WHERE has_bytes;

-- The ledger: every outcome of a submission. Pruned with the ring.
CREATE TABLE gannet.submission (
  run_id bigint NOT NULL,
  round bigint NOT NULL,
  unit_id bigint NOT NULL,
  attempt integer NOT NULL,
  worker_id text COLLATE "C" NOT NULL,
  outcome smallint NOT NULL,            -- gannet.v1.SubmitOutcome
  submitted_at timestamptz NOT NULL
);
CREATE INDEX submission_round ON gannet.submission (run_id, round);

CREATE TABLE gannet.round_summary (
  run_id bigint NOT NULL REFERENCES gannet.run,
  round bigint NOT NULL,
  epoch bigint NOT NULL,
  gradient_count integer NOT NULL,
  image_count integer NOT NULL,
  discriminator_loss double precision NOT NULL,
  generator_loss double precision NOT NULL,
  real_accuracy double precision NOT NULL,
  fake_accuracy double precision NOT NULL,
  seconds double precision NOT NULL,
  published_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, round)
);

CREATE TABLE gannet.weights (
  run_id bigint NOT NULL REFERENCES gannet.run,
  version bigint NOT NULL,
  codec smallint NOT NULL,
  sha256 bytea NOT NULL,
  payload_bytes bigint NOT NULL,
  keep boolean NOT NULL,
  in_ring boolean NOT NULL DEFAULT true,  -- false: the bytes have moved to weights_kept_blob
  PRIMARY KEY (run_id, version)
);

-- Adam's state of the current version only.
CREATE TABLE gannet.adam_state (
  run_id bigint PRIMARY KEY REFERENCES gannet.run,
  version bigint NOT NULL,
  codec smallint NOT NULL,
  sha256 bytea NOT NULL,
  payload_bytes bigint NOT NULL
);

-- Bytes of payloads, in rows of 8,000 bytes that fill a page each and are never toasted: on PostgreSQL 15 that writes four times
-- and reads twice as fast as one large value (docs/adr/0003-blobs-in-page-sized-rows.md). One partition per run, below it a ring of leaves by
-- round modulo 8 (4 for Adam's state), which create_run makes; a leaf is freed by TRUNCATE.
CREATE TABLE gannet.gradient_blob (
  run_id bigint NOT NULL,
  round bigint NOT NULL,
  unit_id bigint NOT NULL,
  attempt integer NOT NULL,
  seq integer NOT NULL,                 -- from 0
  data bytea NOT NULL
) PARTITION BY LIST (run_id);

CREATE TABLE gannet.weights_blob (
  run_id bigint NOT NULL,
  version bigint NOT NULL,
  seq integer NOT NULL,
  data bytea NOT NULL
) PARTITION BY LIST (run_id);

CREATE TABLE gannet.adam_blob (
  run_id bigint NOT NULL,
  version bigint NOT NULL,
  seq integer NOT NULL,
  data bytea NOT NULL
) PARTITION BY LIST (run_id);

ALTER TABLE gannet.gradient_blob ALTER COLUMN data SET STORAGE PLAIN;
ALTER TABLE gannet.weights_blob ALTER COLUMN data SET STORAGE PLAIN;
ALTER TABLE gannet.adam_blob ALTER COLUMN data SET STORAGE PLAIN;

-- Weights that are kept for good leave the ring for this table.
CREATE TABLE gannet.weights_kept_blob (
  LIKE gannet.weights_blob INCLUDING STORAGE,
  PRIMARY KEY (run_id, version, seq)
);

REVOKE ALL ON ALL TABLES IN SCHEMA gannet FROM PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA gannet TO gannet_coordinator;
GRANT INSERT ON gannet.weights_blob, gannet.adam_blob TO gannet_coordinator;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA gannet FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gannet.schema_state() TO gannet_worker, gannet_coordinator;
GRANT EXECUTE ON FUNCTION gannet.clock_now() TO gannet_coordinator;
