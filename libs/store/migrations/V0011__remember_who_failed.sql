-- Who has failed a unit since it was made, or since its run was last resumed: others get it first (may_claim). Without that one worker that fails whatever
-- it is given pauses the whole class.
ALTER TABLE gannet.work_unit
  ADD COLUMN failed_by text[] NOT NULL DEFAULT '{}';
