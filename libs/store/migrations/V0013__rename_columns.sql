-- One word for one thing, in all layers: a leadership's counter is its term, a second unit in the slot of a straggler is speculative, the time that
-- stragglers are judged by is a median, and what a worker that leaves has done is to leave. Rejections are counted net of published gradients.
ALTER TABLE gannet.run RENAME COLUMN leader_epoch TO leader_term;
ALTER TABLE gannet.run RENAME COLUMN spare_after TO speculation_multiplier;
ALTER TABLE gannet.run RENAME COLUMN usual_unit_us TO median_unit_us;
ALTER TABLE gannet.work_unit RENAME COLUMN is_spare TO is_speculative;
ALTER TABLE gannet.worker RENAME COLUMN signed_off TO has_left;
ALTER TABLE gannet.worker RENAME COLUMN rejected_in_a_row TO net_rejections;
