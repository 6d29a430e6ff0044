import GRDB

/// The tables of schema 10.
///
/// Source: `reference/nix-features.md` §13.
enum Schema {
    /// Makes what is missing.
    static let creation = """
        create table if not exists ValidPaths (
            id integer primary key autoincrement not null,
            path text unique not null,
            hash text not null,
            registrationTime integer not null,
            deriver text,
            narSize integer,
            ultimate integer,
            sigs text,
            ca text
        );
        create table if not exists Refs (
            referrer integer not null,
            reference integer not null,
            primary key (referrer, reference),
            foreign key (referrer) references ValidPaths(id) on delete cascade,
            foreign key (reference) references ValidPaths(id) on delete restrict
        );
        create index if not exists IndexReferrer on Refs(referrer);
        create index if not exists IndexReference on Refs(reference);
        create trigger if not exists DeleteSelfRefs before delete on ValidPaths begin
            delete from Refs where referrer = old.id and reference = old.id;
        end;
        create table if not exists DerivationOutputs (
            drv integer not null,
            id text not null,
            path text not null,
            primary key (drv, id),
            foreign key (drv) references ValidPaths(id) on delete cascade
        );
        create index if not exists IndexDerivationOutputs on DerivationOutputs(path);
        """

    /// The columns that statements here use.
    private static let columns: [(table: String, columns: [String])] = [
        (
            "ValidPaths",
            [
                "id", "path", "hash", "registrationTime", "deriver", "narSize", "ultimate", "sigs",
                "ca",
            ]
        ),
        ("Refs", ["referrer", "reference"]),
        ("DerivationOutputs", ["drv", "id", "path"]),
    ]

    /// Refuses a database that lacks a table, a column, or the trigger that self-references need.
    static func check(_ db: Database) throws {
        for (table, columns) in columns {
            guard try db.tableExists(table) else {
                throw StoreDatabaseError.schema(missing: "table '\(table)'")
            }
            let present = Set(try db.columns(in: table).map(\.name))
            for column in columns where !present.contains(column) {
                throw StoreDatabaseError.schema(missing: "column '\(table).\(column)'")
            }
        }
        guard try db.triggerExists("DeleteSelfRefs") else {
            throw StoreDatabaseError.schema(missing: "trigger 'DeleteSelfRefs'")
        }
    }
}
