-- Rounds that never stall, and settings that change in mid-run: see RoundPolicy, ChangeConfig and UnitLease in libs/domain.

ALTER TABLE gannet.run
  ADD COLUMN spare_after double precision NOT NULL DEFAULT 0,  -- as set last, like lease
  ADD COLUMN usual_unit_us bigint NOT NULL DEFAULT 0;          -- of the round published last, the median; 0: not known yet

ALTER TABLE gannet.work_unit
  ADD COLUMN claimed_at timestamptz,                           -- of the last claim
  ADD COLUMN is_spare boolean NOT NULL DEFAULT false,          -- a second unit in the slot of a slow one
  ADD COLUMN wasted_attempt integer NOT NULL DEFAULT 0;        -- the last attempt that was counted as wasted

ALTER TABLE gannet.worker
  ADD COLUMN duplicate_unit_count bigint NOT NULL DEFAULT 0,
  ADD COLUMN wasted_image_count bigint NOT NULL DEFAULT 0;

CREATE TABLE gannet.run_change (
  run_id bigint NOT NULL REFERENCES gannet.run,
  from_round bigint NOT NULL,
  config jsonb NOT NULL,                -- gannet.v1.RunConfig as JSON, complete
  reason text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, from_round)
);
REVOKE ALL ON gannet.run_change FROM PUBLIC;
GRANT SELECT ON gannet.run_change TO gannet_coordinator;
