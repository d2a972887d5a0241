-- Accepts of one run take turns by a row of this table (submit_gradient). An advisory lock has a number, which every session may name and hold; to
-- lock a row takes rights on its table, and a worker's role has none.
CREATE TABLE gannet.accept_turn (
  run_id bigint PRIMARY KEY REFERENCES gannet.run ON DELETE CASCADE
);
INSERT INTO gannet.accept_turn SELECT r.run_id FROM gannet.run r;

-- What a gradient of the run may have at most, in bytes: create_run is told. A run that was made before: twice its weights, and a header.
ALTER TABLE gannet.run
  ADD COLUMN gradient_bytes_max bigint;
UPDATE gannet.run r
   SET gradient_bytes_max = (SELECT 2 * max(w.payload_bytes) + 1048576 FROM gannet.weights w WHERE w.run_id = r.run_id);

-- create_run has one parameter more.
DROP FUNCTION IF EXISTS gannet.create_run(text, text, numeric, bigint, integer, text, bigint, text, smallint, bytea, bigint, smallint, bytea,
  bigint, integer[], integer[], bigint[], bigint, jsonb);
