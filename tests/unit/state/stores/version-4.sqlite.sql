BEGIN TRANSACTION;
CREATE TABLE cache (
                key TEXT PRIMARY KEY,
                value BLOB NOT NULL,
                written BIGINT NOT NULL
            );
INSERT INTO "cache" VALUES('key',X'00FF',1);
CREATE TABLE items (
                address TEXT PRIMARY KEY,
                binding TEXT NOT NULL,
                provider_id TEXT NOT NULL,
                digest TEXT NOT NULL,
                properties TEXT NOT NULL,
                requires TEXT NOT NULL,
                protect BIGINT NOT NULL,
                seen TEXT NOT NULL,
                revision TEXT NOT NULL,
                updated_at TEXT NOT NULL
            ) WITHOUT ROWID
            ;
INSERT INTO "items" VALUES('bristol/shop/web:sandpit.server','sandpit','srv-1','d1','{"image":"nginx:1.25","count":3,"ratio":0.1,"enabled":true,"nothing":null,"huge":1208925819614629174706176,"text":"\u0395\u03bb\u03bb\u03ac\u03b4\u03b1 \ud83c\udfd9 \"quoted\" \n \u0000 \ud800","$$reference":"a name that looks like an expression","nested":{"$$call":[],"list":[1,{"deep":{"$secret":["db-password","d1"]}}]},"address":{"$reference":["bristol/shop/db:sandpit.server","private_address","v4",0]},"greeting":{"$call":["concat","hello ",{"$reference":["bristol/shop/db:sandpit.server","name"]}]}}','bristol/shop/net:sandpit.network bristol/shop/db:sandpit.port/eth-0',1,'s1','c1','2026-03-04T12:00:00.123456+00:00');
CREATE TABLE journal (
                number INTEGER PRIMARY KEY,
                id TEXT NOT NULL UNIQUE,
                run TEXT NOT NULL,
                site TEXT NOT NULL,
                address TEXT NOT NULL,
                action TEXT NOT NULL,
                digest TEXT NOT NULL,
                started_at TEXT NOT NULL,
                outcome TEXT NOT NULL,
                message TEXT NOT NULL,
                ended_at TEXT
            );
INSERT INTO "journal" VALUES(1,'entry-1','run-1','bristol','bristol/shop/web.1:sandpit.server','create','d1','2026-03-04T12:00:00.123456+00:00','done','it''s done','2026-03-04T12:00:00.123456+00:00');
INSERT INTO "journal" VALUES(2,'entry-2','run-1','bristol','bristol/shop/web.2:sandpit.server','create','d1','2026-03-04T12:00:00.123456+00:00','open','',NULL);
CREATE TABLE locks (
                site TEXT PRIMARY KEY,
                owner TEXT NOT NULL,
                host TEXT NOT NULL,
                pid BIGINT NOT NULL,
                born TEXT NOT NULL,
                since TEXT NOT NULL
            );
INSERT INTO "locks" VALUES('bristol','ann@north','north',1,'b1','2026-03-04T12:00:00.123456+00:00');
CREATE TABLE runs (
                id TEXT PRIMARY KEY,
                site TEXT NOT NULL,
                revision TEXT NOT NULL,
                cause TEXT NOT NULL,
                started_at TEXT NOT NULL,
                outcome TEXT NOT NULL,
                summary TEXT NOT NULL,
                message TEXT NOT NULL,
                ended_at TEXT
            );
INSERT INTO "runs" VALUES('run-1','bristol','c1','push','2026-03-04T12:01:00.123456+00:00','open','{"create":2}','',NULL);
CREATE TABLE suspensions (
                site TEXT NOT NULL,
                service TEXT NOT NULL,
                reason TEXT NOT NULL,
                owner TEXT NOT NULL,
                since TEXT NOT NULL,
                PRIMARY KEY (site, service)
            );
INSERT INTO "suspensions" VALUES('oulu','shop','r','o','2026-03-04T12:00:00.123456+00:00');
CREATE TABLE versions (version BIGINT PRIMARY KEY, release TEXT);
INSERT INTO "versions" VALUES(1,'0.1.0');
CREATE INDEX journal_by_run ON journal (run);
CREATE INDEX journal_by_outcome ON journal (site, outcome);
CREATE INDEX runs_by_time ON runs (started_at, id);
CREATE INDEX runs_by_site ON runs (site, started_at, id);
CREATE INDEX cache_by_age ON cache (written, key);
CREATE TABLE alerts (
    site TEXT NOT NULL,
    rule TEXT NOT NULL,
    status TEXT NOT NULL,
    streak BIGINT NOT NULL,
    value TEXT NOT NULL,
    problem TEXT NOT NULL,
    checked_at TEXT NOT NULL,
    since TEXT NOT NULL,
    fired_at TEXT,
    PRIMARY KEY (site, rule)
);
CREATE TABLE firings (
    id TEXT PRIMARY KEY,
    site TEXT NOT NULL,
    sfc TEXT NOT NULL,
    sfci TEXT NOT NULL,
    policy TEXT NOT NULL,
    trigger_name TEXT NOT NULL,
    source TEXT NOT NULL,
    at TEXT NOT NULL,
    received_at TEXT NOT NULL,
    value TEXT NOT NULL,
    detail TEXT NOT NULL,
    outcome TEXT NOT NULL,
    message TEXT NOT NULL,
    revision TEXT NOT NULL,
    subjects TEXT NOT NULL,
    settled_at TEXT
);
CREATE INDEX firings_by_outcome ON firings (outcome, received_at);
CREATE INDEX firings_by_time ON firings (received_at, id);
INSERT INTO alerts (site, rule, status, streak, value, problem, checked_at, since, fired_at) VALUES ('bristol', 'r1', 'firing', 2, '120', 'no answer', '2026-03-04T12:00:00.123456+00:00', '2026-03-04T12:00:00.123456+00:00', NULL);
INSERT INTO firings (id, site, sfc, sfci, policy, trigger_name, source, at, received_at, value, detail, outcome, message, revision, subjects, settled_at) VALUES ('f1', 'bristol', 'tour', 'tour-1', 'crowd', 'many', 'builtin', '2026-03-04T12:00:00.123456+00:00', '2026-03-04T12:00:00.123456+00:00', '120', '{"rule":"r"}', 'done', 'it''s done', 'c1', '["storage@edge-1"]', '2026-03-04T12:00:00.123456+00:00');
INSERT INTO "versions" VALUES(2,'0.1.0');
INSERT INTO versions (version, release) VALUES (3, '0.1.0');
CREATE TABLE inventories (site TEXT NOT NULL, service TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (site, service)) WITHOUT ROWID;
INSERT INTO inventories (site, service, state) VALUES ('', '', '5f0c2f1e8d3b4a6799aa1b2c3d4e5f60');
INSERT INTO versions (version, release) VALUES (4, '0.1.0');
COMMIT;
