-- The picture of the frame that started the event, from the folder of the pictures on; null where none is kept.
ALTER TABLE events ADD COLUMN snapshot TEXT;
