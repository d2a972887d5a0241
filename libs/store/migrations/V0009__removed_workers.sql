-- A worker can be sent away, and one whose gradients are rejected again and again is: see Store::RemoveWorker and kMaxRejectionsInARow in
-- libs/exchange/store.h. The ledger has one more way in which a lease ends:
--   105 removed: taken from its worker, who was removed from the run.
-- A gradient of the open round that is dropped with its worker has the row of a rejected one.
ALTER TABLE gannet.worker
  ADD COLUMN rejected_in_a_row integer NOT NULL DEFAULT 0,  -- since the last one that was published
  ADD COLUMN removed_reason text;                           -- null: not removed

-- What submit_gradient needs of the config, too: gradients have this codec and no other. A gannet.v1.Codec.
ALTER TABLE gannet.run
  ADD COLUMN gradient_codec smallint NOT NULL DEFAULT 1;
UPDATE gannet.run r SET gradient_codec = (r.config->>'gradient_codec')::smallint WHERE r.config->>'gradient_codec' IS NOT NULL;

-- Says now whether the worker was removed.
DROP FUNCTION IF EXISTS gannet.reject_gradient(bigint, text, bigint, bigint, text);
