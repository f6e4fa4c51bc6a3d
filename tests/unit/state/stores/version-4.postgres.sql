CREATE TABLE versions (version BIGINT PRIMARY KEY, release TEXT COLLATE "C");
CREATE TABLE items (
    address TEXT COLLATE "C" PRIMARY KEY,
    binding TEXT COLLATE "C" NOT NULL,
    provider_id TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    properties TEXT COLLATE "C" NOT NULL,
    requires TEXT COLLATE "C" NOT NULL,
    protect BIGINT NOT NULL,
    seen TEXT COLLATE "C" NOT NULL,
    revision TEXT COLLATE "C" NOT NULL,
    updated_at TEXT COLLATE "C" NOT NULL
);
CREATE TABLE journal (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id TEXT COLLATE "C" NOT NULL UNIQUE,
    run TEXT COLLATE "C" NOT NULL,
    site TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    action TEXT COLLATE "C" NOT NULL,
    digest TEXT COLLATE "C" NOT NULL,
    started_at TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL,
    ended_at TEXT COLLATE "C"
);
CREATE INDEX journal_by_run ON journal (run);
CREATE INDEX journal_by_outcome ON journal (site, outcome);
CREATE TABLE runs (
    id TEXT COLLATE "C" PRIMARY KEY,
    site TEXT COLLATE "C" NOT NULL,
    revision TEXT COLLATE "C" NOT NULL,
    cause TEXT COLLATE "C" NOT NULL,
    started_at TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    summary TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL,
    ended_at TEXT COLLATE "C"
);
CREATE INDEX runs_by_time ON runs (started_at, id);
CREATE INDEX runs_by_site ON runs (site, started_at, id);
CREATE TABLE locks (
    site TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    pid BIGINT NOT NULL,
    born TEXT COLLATE "C" NOT NULL,
    since TEXT COLLATE "C" NOT NULL
);
CREATE TABLE suspensions (
    site TEXT COLLATE "C" NOT NULL,
    service TEXT COLLATE "C" NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    since TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (site, service)
);
CREATE TABLE cache (
    key TEXT COLLATE "C" PRIMARY KEY,
    value BYTEA NOT NULL,
    written BIGINT NOT NULL
);
CREATE INDEX cache_by_age ON cache (written, key);
INSERT INTO versions (version, release) VALUES (1, '0.1.0');
INSERT INTO items (address, binding, provider_id, digest, properties, requires, protect, seen, revision, updated_at) VALUES ('bristol/shop/web:sandpit.server', 'sandpit', 'srv-1', 'd1', '{"image":"nginx:1.25","count":3,"ratio":0.1,"enabled":true,"nothing":null,"huge":1208925819614629174706176,"text":"\u0395\u03bb\u03bb\u03ac\u03b4\u03b1 \ud83c\udfd9 \"quoted\" \n \u0000 \ud800","$$reference":"a name that looks like an expression","nested":{"$$call":[],"list":[1,{"deep":{"$secret":["db-password","d1"]}}]},"address":{"$reference":["bristol/shop/db:sandpit.server","private_address","v4",0]},"greeting":{"$call":["concat","hello ",{"$reference":["bristol/shop/db:sandpit.server","name"]}]}}', 'bristol/shop/net:sandpit.network bristol/shop/db:sandpit.port/eth-0', 1, 's1', 'c1', '2026-03-04T12:00:00.123456+00:00');
INSERT INTO journal (id, run, site, address, action, digest, started_at, outcome, message, ended_at) VALUES ('entry-1', 'run-1', 'bristol', 'bristol/shop/web.1:sandpit.server', 'create', 'd1', '2026-03-04T12:00:00.123456+00:00', 'done', 'it''s done', '2026-03-04T12:00:00.123456+00:00');
INSERT INTO journal (id, run, site, address, action, digest, started_at, outcome, message, ended_at) VALUES ('entry-2', 'run-1', 'bristol', 'bristol/shop/web.2:sandpit.server', 'create', 'd1', '2026-03-04T12:00:00.123456+00:00', 'open', '', NULL);
INSERT INTO runs (id, site, revision, cause, started_at, outcome, summary, message, ended_at) VALUES ('run-1', 'bristol', 'c1', 'push', '2026-03-04T12:01:00.123456+00:00', 'open', '{"create":2}', '', NULL);
INSERT INTO locks (site, owner, host, pid, born, since) VALUES ('bristol', 'ann@north', 'north', 1, 'b1', '2026-03-04T12:00:00.123456+00:00');
INSERT INTO suspensions (site, service, reason, owner, since) VALUES ('oulu', 'shop', 'r', 'o', '2026-03-04T12:00:00.123456+00:00');
INSERT INTO cache (key, value, written) VALUES ('key', '\x00ff', 1);
CREATE TABLE alerts (
    site TEXT COLLATE "C" NOT NULL,
    rule TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    streak BIGINT NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    problem TEXT COLLATE "C" NOT NULL,
    checked_at TEXT COLLATE "C" NOT NULL,
    since TEXT COLLATE "C" NOT NULL,
    fired_at TEXT COLLATE "C",
    PRIMARY KEY (site, rule)
);
CREATE TABLE firings (
    id TEXT COLLATE "C" PRIMARY KEY,
    site TEXT COLLATE "C" NOT NULL,
    sfc TEXT COLLATE "C" NOT NULL,
    sfci TEXT COLLATE "C" NOT NULL,
    policy TEXT COLLATE "C" NOT NULL,
    trigger_name TEXT COLLATE "C" NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    at TEXT COLLATE "C" NOT NULL,
    received_at TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    detail TEXT COLLATE "C" NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL,
    revision TEXT COLLATE "C" NOT NULL,
    subjects TEXT COLLATE "C" NOT NULL,
    settled_at TEXT COLLATE "C"
);
CREATE INDEX firings_by_outcome ON firings (outcome, received_at);
CREATE INDEX firings_by_time ON firings (received_at, id);
INSERT INTO alerts (site, rule, status, streak, value, problem, checked_at, since, fired_at) VALUES ('bristol', 'r1', 'firing', 2, '120', 'no answer', '2026-03-04T12:00:00.123456+00:00', '2026-03-04T12:00:00.123456+00:00', NULL);
INSERT INTO firings (id, site, sfc, sfci, policy, trigger_name, source, at, received_at, value, detail, outcome, message, revision, subjects, settled_at) VALUES ('f1', 'bristol', 'tour', 'tour-1', 'crowd', 'many', 'builtin', '2026-03-04T12:00:00.123456+00:00', '2026-03-04T12:00:00.123456+00:00', '120', '{"rule":"r"}', 'done', 'it''s done', 'c1', '["storage@edge-1"]', '2026-03-04T12:00:00.123456+00:00');
INSERT INTO versions (version, release) VALUES (2, '0.1.0');
INSERT INTO versions (version, release) VALUES (3, '0.1.0');
CREATE TABLE inventories (site TEXT COLLATE "C" NOT NULL, service TEXT COLLATE "C" NOT NULL, state TEXT COLLATE "C" NOT NULL, PRIMARY KEY (site, service));
INSERT INTO inventories (site, service, state) VALUES ('', '', '5f0c2f1e8d3b4a6799aa1b2c3d4e5f60');
INSERT INTO versions (version, release) VALUES (4, '0.1.0');
