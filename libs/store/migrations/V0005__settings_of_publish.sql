-- publish_round itself asks whether the settings are those that the next units were planned with: before it looks at the units it is told of.
DROP FUNCTION IF EXISTS gannet.publish_round(bigint, text, bigint, bigint, smallint, bytea, bigint, boolean, smallint, bytea, bigint, bigint,
  integer, integer, double precision, double precision, double precision, double precision, double precision, bigint[], integer[], integer[],
  bigint[], boolean);
DROP FUNCTION IF EXISTS gannet.require_settings(bigint, bigint);
