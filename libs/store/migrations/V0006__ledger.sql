-- The ledger also has how a lease ended without a gradient: outcome is a gannet.v1.SubmitOutcome, or one of
--   101 expired: it ran out before anything was handed in;
--   102 returned: given back by its worker, who left, stopped or was started again;
--   103 failed: its worker could not compute it;
--   104 rejected: the gradient was kept, and then could not be read or was not finite.
-- A lease that ended because another filled the slot, or because the round was published without it, has the row of whoever did.
ALTER TABLE gannet.submission RENAME TO ledger;
ALTER TABLE gannet.ledger RENAME COLUMN submitted_at TO noted_at;
ALTER INDEX gannet.submission_round RENAME TO ledger_round;
