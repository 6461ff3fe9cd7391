-- What a cooldown kept back before the event, told by all of its messages.
-- JSON: [how many stays, the highest probability, first time, last time]; null for none.
ALTER TABLE events ADD COLUMN suppressed TEXT;
