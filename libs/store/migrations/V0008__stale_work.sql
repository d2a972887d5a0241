-- Where stale work counts, a publication takes units along that are in work (docs/adr/0006-spares-and-quorum.md). Such a unit is a spare in a slot
-- of its own.
ALTER TABLE gannet.work_unit
  ADD COLUMN stale_rounds smallint NOT NULL DEFAULT 0,  -- so often: it was claimed in round - stale_rounds
  ADD COLUMN claimed_slot integer;                      -- and in this slot; null when it was never taken along

-- publish_round has one parameter more.
DROP FUNCTION IF EXISTS gannet.publish_round(bigint, text, bigint, bigint, smallint, bytea, bigint, boolean, smallint, bytea, bigint, bigint,
  integer, integer, double precision, double precision, double precision, double precision, double precision, bigint[], integer[], integer[],
  bigint[], boolean, bigint, bytea, bytea);
