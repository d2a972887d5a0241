-- Run each time, before everything else: roles belong to the server, not to the database, so a backup that was restored on another one has none.
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
