-- The history of one node. `PRAGMA user_version` counts the migrations that a file has had.

-- One row for each message about an event: its start, its updates, its end.
CREATE TABLE events (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT, -- the order in which they happened
    id              TEXT NOT NULL,     -- the same for all messages of one stay of a label
    kind            TEXT NOT NULL CHECK (kind IN ('start', 'update', 'end')),
    camera          TEXT NOT NULL,
    watch           TEXT NOT NULL,
    label           TEXT NOT NULL,
    start_time      REAL NOT NULL,     -- Unix seconds, UTC, as are all times
    end_time        REAL,              -- null while the event is open
    frame_time      REAL NOT NULL,
    probability     REAL NOT NULL,
    top_probability REAL NOT NULL,
    threshold       REAL NOT NULL,
    probabilities   TEXT NOT NULL,     -- JSON: {"label": 0.5}, all labels of the watch
    tile            TEXT,              -- JSON: [x, y, width, height] in fractions of the picture
    model           TEXT NOT NULL,     -- the bundle's name
    written         REAL NOT NULL,     -- when the row was made
    -- Whether the broker has it: 'waiting', 'delivered', or 'dropped' because too many waited.
    state           TEXT NOT NULL DEFAULT 'waiting'
                    CHECK (state IN ('waiting', 'delivered', 'dropped')),
    settled         REAL               -- when it was delivered or dropped
) STRICT;

CREATE INDEX events_by_id ON events (id);
CREATE INDEX events_by_time ON events (start_time);
CREATE INDEX events_waiting ON events (seq) WHERE state = 'waiting';

-- Topics that a broker may keep a value of, so that they can be cleared when nobody speaks of them any more.
CREATE TABLE topics (
    topic TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
