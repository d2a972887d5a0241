-- The weights that made the best images so far, one a run: see Store::KeepBest. Beside the ring and what is kept for good, because a version may be
-- measured long after it has left the ring, and be the best only for a while.
CREATE TABLE gannet.best_weights (
  run_id bigint PRIMARY KEY REFERENCES gannet.run,
  version bigint NOT NULL,
  distance double precision NOT NULL,
  codec smallint NOT NULL,
  sha256 bytea NOT NULL,
  payload_bytes bigint NOT NULL,
  turn bigint NOT NULL                  -- how often a best was kept; says where the bytes are
);

-- A ring of two leaves by turn, which the first keep_best of a run makes.
CREATE TABLE gannet.best_blob (
  run_id bigint NOT NULL,
  turn bigint NOT NULL,
  seq integer NOT NULL,
  data bytea NOT NULL
) PARTITION BY LIST (run_id);
ALTER TABLE gannet.best_blob ALTER COLUMN data SET STORAGE PLAIN;

REVOKE ALL ON gannet.best_weights, gannet.best_blob FROM PUBLIC;
GRANT SELECT ON gannet.best_weights, gannet.best_blob TO gannet_coordinator;
GRANT INSERT ON gannet.best_blob TO gannet_coordinator;
