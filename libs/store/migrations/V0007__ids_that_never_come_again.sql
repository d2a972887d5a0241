-- A database may go back: a backup is restored, or a standby takes over that lacks the last commits. Its sequences go back with it, so a unit made
-- afterwards would get the id of one that a worker still computes, whose gradient would be taken for this one's. So the lower 24 bits of an id are
-- drawn; those above count, as before (docs/adr/0010-a-database-that-has-gone-back.md).
CREATE SEQUENCE gannet.unit_number;
SELECT setval('gannet.unit_number', 1 + coalesce(max(u.unit_id) >> 24, 0)) FROM gannet.work_unit u;
ALTER TABLE gannet.work_unit
  ALTER COLUMN unit_id DROP IDENTITY,
  ALTER COLUMN unit_id SET DEFAULT (nextval('gannet.unit_number') << 24) | floor(random() * (1 << 24))::bigint;
ALTER SEQUENCE gannet.unit_number OWNED BY gannet.work_unit.unit_id;

-- A version's number comes again, too; so a claim names the checksum of the weights that it means, and whoever fetches them can ask for no others.
DROP FUNCTION IF EXISTS gannet.claim_unit(text, text, bigint, bigint, text);
DROP FUNCTION IF EXISTS gannet.open_weights(text, text, bigint, bigint, bigint);
