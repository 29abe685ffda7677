// RandomStatements: SQL that tries to get past the capture of rows: triggers, cascades, conflicts,
// odd values, savepoints, changes of the schema. Many of its statements fail, on purpose.
#pragma once

#include <iterator>
#include <string>

#include "common/base/prng.h"
#include "common/base/text.h"

namespace sextant::binlog {

class RandomStatements {
 public:
  explicit RandomStatements(uint64_t seed) : prng_(seed) {}

  static std::string Schema() {
    return "PRAGMA foreign_keys = ON;"
           "CREATE TABLE a(x, y, z UNIQUE);"
           "CREATE TABLE b(x INTEGER PRIMARY KEY, y TEXT, z UNIQUE, g AS (x || y) STORED);"
           "CREATE TABLE c(x, y, z, PRIMARY KEY(z, x)) WITHOUT ROWID;"
           "CREATE TABLE d(x INTEGER PRIMARY KEY AUTOINCREMENT, y REAL, z UNIQUE, v AS (y + 1));"
           "CREATE TABLE e(x REFERENCES b ON DELETE CASCADE ON UPDATE SET NULL, y, z);"
           "CREATE TABLE log(x, y, z);"
           "CREATE TRIGGER t1 AFTER DELETE ON a BEGIN INSERT INTO log VALUES(old.x, 1, 2); END;"
           "CREATE TRIGGER t2 AFTER INSERT ON d WHEN new.z % 7 = 1 BEGIN "
           "  UPDATE OR REPLACE a SET z = new.z WHERE x = new.y; END;"
           "CREATE TRIGGER t3 BEFORE UPDATE ON c WHEN new.y = 3 BEGIN "
           "  SELECT RAISE(FAIL, 'three'); END;"
           "CREATE TRIGGER t4 AFTER INSERT ON log WHEN new.z = 5 BEGIN "
           "  SELECT RAISE(ABORT, 'five'); END";
  }

  std::string Next() {
    switch (prng_.Below(14)) {
      case 0:
        return "BEGIN";
      case 1:
        return prng_.OneIn(4) ? "ROLLBACK" : "COMMIT";
      case 2:
        return Text("SAVEPOINT s", prng_.Below(3));
      case 3:
        return Text("ROLLBACK TO s", prng_.Below(3));
      case 4:
        return Text("RELEASE s", prng_.Below(3));
      case 5:
        return prng_.OneIn(4) ? SchemaChange() : Change();
      default:
        return Change();
    }
  }

 private:
  std::string Table() { return std::string(1, "abcde"[prng_.Below(5)]); }
  std::string Value() {
    static constexpr const char* kOdd[] = {"NULL",
                                           "-9223372036854775808",
                                           "9223372036854775807",
                                           "9e999",
                                           "-0.0",
                                           "x''",
                                           "zeroblob(20)",
                                           "'a' || char(0)",
                                           "1.5",
                                           "''",
                                           "'12'",
                                           "CAST(x'fe' AS TEXT)",
                                           "1e-310"};
    if (prng_.OneIn(3)) return kOdd[prng_.Below(std::size(kOdd))];
    return Text(prng_.Below(25));
  }
  std::string Or() {
    static constexpr const char* kOr[] = {"",           "",         " OR REPLACE",
                                          " OR IGNORE", " OR FAIL", " OR ROLLBACK"};
    return kOr[prng_.Below(std::size(kOr))];
  }

  std::string Change() {
    const std::string table = Table();
    switch (prng_.Below(6)) {
      case 0:
        return Text("UPDATE", Or(), " ", table, " SET ", Column(), " = ", Value(), " WHERE ",
                    Column(), " > ", Value());
      case 1:
        return Text("DELETE FROM ", table, " WHERE ", Column(), " = ", Value());
      case 2:
        return Text("INSERT INTO ", table, "(x, y, z) VALUES(", Value(), ", ", Value(), ", ",
                    Value(), ") ON CONFLICT DO UPDATE SET y = excluded.y, x = x");
      case 3:
        return Text("UPDATE", Or(), " ", table, " SET x = abs(z), z = y WHERE x < ", Value());
      default: {
        std::string rows;
        for (uint64_t i = prng_.Between(1, 5); i > 0; --i) {
          rows += Text(rows.empty() ? "" : ", ", "(", Value(), ", ", Value(), ", ", Value(), ")");
        }
        return Text("INSERT", Or(), " INTO ", table, "(x, y, z) VALUES", rows);
      }
    }
  }
  std::string Column() { return std::string(1, "xyz"[prng_.Below(3)]); }

  std::string SchemaChange() {
    const std::string extra = Text("n", prng_.Below(3));
    switch (prng_.Below(8)) {
      case 0:
        return Text("CREATE TABLE ", extra, " AS SELECT x, y FROM ", Table());
      case 1:
        return Text("DROP TABLE IF EXISTS ", extra);
      case 2:
        return Text("ALTER TABLE ", Table(), " ADD COLUMN w", prng_.Below(4), " DEFAULT ",
                    prng_.Below(9));
      case 3:
        return Text("CREATE INDEX IF NOT EXISTS i", prng_.Below(3), " ON ", Table(), "(y)");
      case 4:
        return Text("ALTER TABLE ", extra, " RENAME TO n", prng_.Below(3));
      case 5:
        return Text("PRAGMA user_version = ", prng_.Below(100));
      case 6:
        return Text("UPDATE ", extra, " SET y = ", Value());
      default:
        return "ANALYZE";
    }
  }

  Prng prng_;
};

}  // namespace sextant::binlog
