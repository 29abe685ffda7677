// RandomSql: a seeded stream of statements for tests that hold two databases against each other.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/prng.h"
#include "common/base/text.h"

namespace sextant::sql {

class RandomSql {
 public:
  explicit RandomSql(uint64_t seed) : prng_(seed) {}

  // One statement, or a whole transaction; the same text leaves every database in the same state.
  std::string Next() {
    switch (prng_.Below(12)) {
      case 0:
        return Text("BEGIN; ", Change(), Change(), Change(),
                    prng_.OneIn(3) ? "ROLLBACK" : "COMMIT");
      case 1:
        return Text("BEGIN; ", Change(), "SAVEPOINT s; ", Change(), Change(), "ROLLBACK TO s; ",
                    Change(), "COMMIT");
      case 2:
        return Schema();
      case 3:
        return Text("SELECT a, count(*), sum(length(b)) FROM ", Table(),
                    " GROUP BY a % 7 ORDER BY 1");
      case 4:
        return prng_.OneIn(4) ? "VACUUM" : "PRAGMA user_version=" + Number(100);
      default:
        return Change();
    }
  }

 private:
  std::string Number(uint64_t bound) { return Text(prng_.Below(bound)); }
  std::string Table() { return "t" + Number(3); }
  std::string Value() {
    return Text("printf('%0", 1 + prng_.Below(900), "d', ", Number(1000), ")");
  }

  std::string Change() {
    const std::string table = Table();
    switch (prng_.Below(5)) {
      case 0:
        return Text("UPDATE ", table, " SET b = ", Value(), " WHERE id % ", 1 + prng_.Below(20),
                    " = 0;");
      case 1:
        return Text("DELETE FROM ", table, " WHERE id % ", 2 + prng_.Below(9), " = ", Number(3),
                    ";");
      case 2:  // now and then a conflict
        return Text("INSERT INTO ", table, " VALUES(", Number(400), ", ", Number(50), ", ", Value(),
                    ");");
      default:
        return Text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ",
                    1 + prng_.Below(30), ") INSERT OR REPLACE INTO ", table, " SELECT ",
                    Number(400), " + i, i * 7 % 50, ", Value(), " FROM n;");
    }
  }

  std::string Schema() {
    switch (prng_.Below(4)) {
      case 0:
        return Text("CREATE INDEX IF NOT EXISTS i", Number(3), " ON ", Table(), "(a)");
      case 1:
        return Text("DROP INDEX IF EXISTS i", Number(3));
      case 2:
        return Text("DROP TABLE IF EXISTS ", Table());
      default:
        return Text("CREATE TABLE IF NOT EXISTS ", Table(),
                    "(id INTEGER PRIMARY KEY, a INT, b TEXT)");
    }
  }

  Prng prng_;
};

// Schema, version and health in rows that do not depend on where pages lie.
inline constexpr const char* kDatabaseDigest =
    "SELECT name, sql FROM sqlite_schema ORDER BY name;"
    "PRAGMA user_version; PRAGMA integrity_check;";

}  // namespace sextant::sql
