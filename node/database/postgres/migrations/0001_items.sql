CREATE TABLE IF NOT EXISTS viakv_items (
    generation BIGINT NOT NULL,
    key        BYTEA  NOT NULL,
    value      BYTEA  NOT NULL,
    PRIMARY KEY (generation, key)
);

CREATE TABLE IF NOT EXISTS viakv_generation (
    singleton  BOOLEAN PRIMARY KEY CHECK (singleton),
    generation BIGINT NOT NULL,
    cursor_key BYTEA  NOT NULL
);

CREATE TABLE IF NOT EXISTS viakv_collector (
    singleton BOOLEAN PRIMARY KEY CHECK (singleton),
    holder    TEXT        NOT NULL,
    until     TIMESTAMPTZ NOT NULL
);

INSERT INTO viakv_generation (singleton, generation, cursor_key) VALUES (TRUE, 1, $1) ON CONFLICT DO NOTHING;

INSERT INTO viakv_collector (singleton, holder, until) VALUES (TRUE, '', '2000-01-01') ON CONFLICT DO NOTHING;
