-- Run each time, after everything else: what tables and columns are for, where their names do not say it. docs/schema.sql shows it, and so does \d+ of
-- psql.
COMMENT ON TABLE gannet.schema_migration IS 'Which scripts have been run, by the migrator (libs/pg/migrator.h)';
COMMENT ON COLUMN gannet.schema_migration.version IS 'null: of functions, run again whenever one has changed';
COMMENT ON COLUMN gannet.schema_migration.sha256 IS 'of the text that was run';

COMMENT ON TABLE gannet.run IS 'A training, its state and its leader';
COMMENT ON COLUMN gannet.run.run_id IS 'the lower 24 bits are drawn, so that none comes again (docs/adr/0010)';
COMMENT ON COLUMN gannet.run.config IS 'gannet.v1.RunConfig as JSON, as it was made';
COMMENT ON COLUMN gannet.run.weights_version IS 'the current one; the open round is the next';
COMMENT ON COLUMN gannet.run.seed IS 'unsigned, 64 bits; from here on what the functions need of the config';
COMMENT ON COLUMN gannet.run.lease IS 'as set last';
COMMENT ON COLUMN gannet.run.leader_id IS 'null: nobody leads';
COMMENT ON COLUMN gannet.run.speculation_multiplier IS 'as set last';
COMMENT ON COLUMN gannet.run.median_unit_us IS 'of the round published last, the median; 0: not known yet';
COMMENT ON COLUMN gannet.run.settings_version IS 'another one after each change of settings';
COMMENT ON COLUMN gannet.run.gradient_codec IS 'gannet.v1.Codec';
COMMENT ON COLUMN gannet.run.gradient_bytes_max IS 'what a gradient has at most';

COMMENT ON TABLE gannet.run_change IS 'Settings that were changed during the run';
COMMENT ON COLUMN gannet.run_change.config IS 'gannet.v1.RunConfig as JSON, complete';

COMMENT ON TABLE gannet.accept_turn IS 'Accepts of a run take turns by this row; no worker has rights on it';

COMMENT ON TABLE gannet.worker IS 'Who has joined a run, and what it has done';
COMMENT ON COLUMN gannet.worker.worker_id IS '32 hexadecimal digits';
COMMENT ON COLUMN gannet.worker.incarnation IS 'of its newest start';
COMMENT ON COLUMN gannet.worker.net_rejections IS 'less one for each gradient that was published';
COMMENT ON COLUMN gannet.worker.removed_reason IS 'null: not removed';

COMMENT ON TABLE gannet.work_unit IS 'Images of which somebody computes the gradient (libs/domain/unit_state.h); small once its round is published';
COMMENT ON COLUMN gannet.work_unit.unit_id IS 'drawn as run_id is';
COMMENT ON COLUMN gannet.work_unit.image_indices IS 'null once the round is published';
COMMENT ON COLUMN gannet.work_unit.attempt IS 'the fence: one more with each claim';
COMMENT ON COLUMN gannet.work_unit.holder IS 'the last claimer; null when none or forgotten';
COMMENT ON COLUMN gannet.work_unit.claim_request IS 'the request id of the last claim';
COMMENT ON COLUMN gannet.work_unit.lease_until IS 'null after a return; in no index, so that heartbeats stay HOT';
COMMENT ON COLUMN gannet.work_unit.consumed IS 'its gradient is in the published weights';
COMMENT ON COLUMN gannet.work_unit.claimed_at IS 'of the last claim';
COMMENT ON COLUMN gannet.work_unit.is_speculative IS 'closed, not requeued, when its lease ends: a second unit in the slot of a straggler, or one carried over';
COMMENT ON COLUMN gannet.work_unit.wasted_attempt IS 'the last attempt that was counted as wasted';
COMMENT ON COLUMN gannet.work_unit.ready_at IS 'a ready unit is given to nobody before (RequeueBackoff)';
COMMENT ON COLUMN gannet.work_unit.stale_rounds IS 'publications since it was claimed';
COMMENT ON COLUMN gannet.work_unit.claimed_slot IS 'null: slot';
COMMENT ON COLUMN gannet.work_unit.failed_by IS 'since it was made, or the run resumed: others get it first';

COMMENT ON TABLE gannet.gradient IS 'What is known of an accepted gradient, kept permanently; both unique keys back the fence of the accept';
COMMENT ON COLUMN gannet.gradient.codec IS 'gannet.v1.Codec';
COMMENT ON COLUMN gannet.gradient.sha256 IS 'of the bytes, as their sender states it';
COMMENT ON COLUMN gannet.gradient.has_bytes IS 'false once reclaim_old_blobs has freed them';

COMMENT ON TABLE gannet.ledger IS 'How each lease ended; the rounds of the ring';
COMMENT ON COLUMN gannet.ledger.outcome IS 'gannet.v1.SubmitOutcome, or LedgerOutcome of libs/store/ledger_outcome.h';

COMMENT ON TABLE gannet.round_summary IS 'The history of a run, kept permanently';
COMMENT ON COLUMN gannet.round_summary.epoch IS 'of the data';

COMMENT ON TABLE gannet.weights IS 'Published versions whose bytes are there';
COMMENT ON COLUMN gannet.weights.codec IS 'gannet.v1.Codec';
COMMENT ON COLUMN gannet.weights.keep IS 'kept permanently';
COMMENT ON COLUMN gannet.weights.in_ring IS 'false: the bytes have moved to weights_kept_blob';

COMMENT ON TABLE gannet.adam_state IS 'Adam''s moments of the current version';
COMMENT ON TABLE gannet.best_weights IS 'The weights that made the best images so far';
COMMENT ON COLUMN gannet.best_weights.turn IS 'how often a best was kept; says where the bytes are';

COMMENT ON TABLE gannet.gradient_blob IS
'Bytes in rows that fill a page (docs/adr/0003); one partition a run, below it a ring of leaves, which create_run makes, by round modulo kBlobRing';
COMMENT ON COLUMN gannet.gradient_blob.seq IS 'from 0';
COMMENT ON TABLE gannet.weights_blob IS 'As gradient_blob, by version modulo kBlobRing';
COMMENT ON TABLE gannet.adam_blob IS 'As gradient_blob, by version modulo kAdamRing';
COMMENT ON TABLE gannet.best_blob IS 'As gradient_blob, by turn modulo kBestRing; the first save_best of a run makes the leaves';
COMMENT ON TABLE gannet.weights_kept_blob IS 'Bytes of weights that are kept permanently and have left the ring';

COMMENT ON TABLE gannet.gateway_report IS 'What gateways refuse at the moment (libs/exchange/gateway_reports.h)';
COMMENT ON COLUMN gannet.gateway_report.refusing IS 'labels of reasons, separated by commas';
