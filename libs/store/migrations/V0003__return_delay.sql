-- See ReturnDelay in libs/domain/unit_state.h.
ALTER TABLE gannet.work_unit
  ADD COLUMN ready_at timestamptz NOT NULL DEFAULT '-infinity';  -- a ready unit is given to nobody before
