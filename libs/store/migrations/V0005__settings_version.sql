-- publish_round itself asks whether the settings are those that the next units were planned with: by how often they were changed, for a change that
-- does not hold yet is replaced under the same round.
ALTER TABLE gannet.run
  ADD COLUMN settings_version bigint NOT NULL DEFAULT 0;
DROP FUNCTION IF EXISTS gannet.publish_round(bigint, text, bigint, bigint, smallint, bytea, bigint, boolean, smallint, bytea, bigint, bigint,
  integer, integer, double precision, double precision, double precision, double precision, double precision, bigint[], integer[], integer[],
  bigint[], boolean);
DROP FUNCTION IF EXISTS gannet.require_settings(bigint, bigint);
