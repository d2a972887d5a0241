-- What all other functions stand on. V0001 makes the first form of both, for the migrations behind it.

-- The clock of all functions but report_gateway, whose rows are compared with nothing else: tests replace it in a database of their own. (A setting would not do: any role may set one.)
CREATE FUNCTION gannet.clock_now()
RETURNS timestamptz
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
