-- A database may go back: a backup is restored, or a standby takes over that lacks the last commits. Its sequences go back with it, so a run or a
-- unit made afterwards would get the id of one that is forgotten, and what somebody still does for that one would be taken for this one's. So the
-- lower 24 bits of an id are drawn; those above count, as before (docs/adr/0010-a-database-that-has-gone-back.md).
CREATE SEQUENCE gannet.unit_number;
SELECT setval('gannet.unit_number', 1 + coalesce(max(u.unit_id) >> 24, 0)) FROM gannet.work_unit u;
ALTER TABLE gannet.work_unit
  ALTER COLUMN unit_id DROP IDENTITY,
  ALTER COLUMN unit_id SET DEFAULT (nextval('gannet.unit_number') << 24) | floor(random() * (1 << 24))::bigint;
ALTER SEQUENCE gannet.unit_number OWNED BY gannet.work_unit.unit_id;

CREATE SEQUENCE gannet.run_number;
SELECT setval('gannet.run_number', 1 + coalesce(max(r.run_id) >> 24, 0)) FROM gannet.run r;
ALTER TABLE gannet.run
  ALTER COLUMN run_id DROP IDENTITY,
  ALTER COLUMN run_id SET DEFAULT (nextval('gannet.run_number') << 24) | floor(random() * (1 << 24))::bigint;
ALTER SEQUENCE gannet.run_number OWNED BY gannet.run.run_id;

-- Incarnations were drawn; now they are the time of the start, and so far below most of those that were drawn.
UPDATE gannet.worker SET incarnation = least(incarnation, (extract(epoch FROM gannet.clock_now()) * 1000000)::bigint);

-- A version's number comes again, too; so a claim names the checksum of the weights that it means, whoever fetches them can ask for no others, and a
-- publication says on which weights and on which gradients it stands.
DROP FUNCTION IF EXISTS gannet.claim_unit(text, text, bigint, bigint, text);
DROP FUNCTION IF EXISTS gannet.open_weights(text, text, bigint, bigint, bigint);
DROP FUNCTION IF EXISTS gannet.publish_round(bigint, text, bigint, bigint, smallint, bytea, bigint, boolean, smallint, bytea, bigint, bigint,
  integer, integer, double precision, double precision, double precision, double precision, double precision, bigint[], integer[], integer[],
  bigint[], boolean, bigint);
