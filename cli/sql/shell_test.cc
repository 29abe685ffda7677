// The shell against a real SqlService on a volume in memory, and against the sqlite3 shell.
#include "cli/sql/shell.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/session.h"
#include "common/base/text.h"
#include "common/testing/temporary_folder.h"
#include "compute-node/server/sql_service.h"
#include "compute-node/sql/testing/memory_volume.h"

namespace sextant::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class ShellTest : public ::testing::Test {
 protected:
  ShellTest() { Serve(); }
  ~ShellTest() override { StopServing(); }
  void Serve() {
    executor_ =
        std::make_unique<sql::SqlExecutor>(&volume_, &tickets_, sql::SqlOptions{.threads = 2});
    service_ = std::make_unique<server::SqlService>();
    service_->Attach(executor_.get());
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
  }
  void StopServing() {
    service_->Detach(absl::UnavailableError("this node is shutting down"));
    executor_.reset();
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }
  ShellOptions Options() {
    ShellOptions options;
    options.connect = [this] {
      return client::Client({Text("127.0.0.1:", port_)})
          .NewCalls({.connect_patience = absl::Seconds(20), .patience = absl::Seconds(1)});
    };
    options.status_text = [] { return std::string("all is well\n"); };
    options.out = &out_;
    options.err = &err_;
    return options;
  }
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = root_ + "/" + name;
    std::ofstream(path) << text;
    return path;
  }
  // What the shell prints for a script; errors go to err_.
  std::string Run(const std::string& script, ShellOptions options) {
    out_.str("");
    err_.str("");
    Shell shell(std::move(options));
    EXPECT_TRUE(shell.RunFile(Write("script.sql", script)).ok());
    result_ = shell.result();
    return out_.str();
  }
  std::string Run(const std::string& script) { return Run(script, Options()); }
  // What the sqlite3 shell prints for it.
  std::string Sqlite(const std::string& script) {
    const std::string path = Write("theirs.sql", script);
    FILE* pipe = popen(Text("sqlite3 ", root_, "/theirs.db < ", path, " 2>/dev/null").c_str(), "r");
    std::string text;
    char buffer[4096];
    for (size_t n = fread(buffer, 1, sizeof buffer, pipe); n > 0;
         n = fread(buffer, 1, sizeof buffer, pipe)) {
      text.append(buffer, n);
    }
    pclose(pipe);
    return text;
  }

  sextant::testing::TemporaryFolder folder_;
  const std::string root_ = folder_.path();
  sql::MemoryVolume volume_;
  compute::WriteTicketQueue tickets_;
  std::unique_ptr<sql::SqlExecutor> executor_;
  std::unique_ptr<server::SqlService> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::ostringstream out_, err_;
  absl::Status result_;
};

bool HasSqliteShell() { return system("command -v sqlite3 >/dev/null 2>&1") == 0; }

TEST_F(ShellTest, RunsAScriptAndPrintsRows) {
  EXPECT_EQ(Run("create table t(a, b);\ninsert into t values(1, 'x'), (2, null);\n"
                "select * from t order by a; select count(*) from t"),
            "1|x\n2|\n2\n");
  EXPECT_TRUE(result_.ok()) << err_.str();
}

TEST_F(ShellTest, GoesOnAfterErrorsAndNamesTheirLines) {
  EXPECT_EQ(Run("create table t(a unique);\ninsert into t values(1);\n\ninsert into t values(1);\n"
                "insert into t values(2);\nselect * from nope;\n-- comment\nselect a from t;\n"),
            "1\n2\n");
  EXPECT_THAT(err_.str(), HasSubstr("Error: near line 4: UNIQUE constraint failed: t.a"));
  EXPECT_THAT(err_.str(), HasSubstr("Error: near line 6: no such table: nope"));
  EXPECT_FALSE(result_.ok());
}

TEST_F(ShellTest, BailStopsAtTheFirstError) {
  ShellOptions options = Options();
  options.run.bail = true;
  EXPECT_EQ(Run("select 1;\nselect * from nope;\nselect 2;\n", options), "1\n");
  EXPECT_FALSE(result_.ok());
}

TEST_F(ShellTest, ManyStatementsTravelInGroupsAndKeepTheirOrder) {
  std::string script = "create table t(a integer primary key);\n";
  for (int i = 1; i <= 2000; ++i) {
    script += Text("insert into t values(", i % 100 == 0 ? 1 : i, ");\n");  // every 100th fails
  }
  script += "select count(*), sum(a) from t;\n";
  EXPECT_EQ(Run(script), Text(1980, "|", 2001000 - 100 * 210, "\n"));
  const std::string errors = err_.str();
  EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 20);
  EXPECT_THAT(errors, HasSubstr("near line 101:"));
  EXPECT_THAT(errors, HasSubstr("near line 2001:"));
}

TEST_F(ShellTest, TransactionsSpanGroups) {
  std::string script = "create table t(a);\nbegin;\n";
  for (int i = 0; i < 1000; ++i) script += "insert into t values(1);\n";
  EXPECT_EQ(Run(script + "rollback;\nselect count(*) from t;\n"), "0\n");
  EXPECT_EQ(Run("drop table t;\n" + script + "commit;\nselect count(*) from t;\n"), "1000\n");
}

TEST_F(ShellTest, DotCommands) {
  EXPECT_EQ(
      Run("create table b(x);\ncreate table a(y);\ncreate index i on a(y);\n.tables\n.indexes\n"
          ".schema b\n.mode csv\n.headers on\nselect 1 as one, 'a b' as two;\n.print done\n"
          ".status\n.quit\nselect 'never';\n"),
      "a  b\ni\nCREATE TABLE b(x);\none,two\r\n1,\"a b\"\r\ndone\nall is well\n");
  EXPECT_TRUE(result_.ok()) << err_.str();
  Run(".nonsense\n.mode nonsense\n.mode\n");
  EXPECT_THAT(err_.str(), HasSubstr("there is no command .nonsense"));
  EXPECT_THAT(err_.str(), HasSubstr("there is no mode 'nonsense'"));
  EXPECT_FALSE(result_.ok());
}

TEST_F(ShellTest, ReadsOtherFilesAndWritesToOthers) {
  const std::string inner = Write("inner.sql", "select 'inner';\nselect * from nope;");
  const std::string output = root_ + "/out.txt";
  EXPECT_EQ(Run(Text(".read ", inner, "\n.output ", output,
                     "\nselect 'hidden';\n.output\nselect 'end';\n")),
            "inner\nend\n");
  EXPECT_THAT(err_.str(), HasSubstr("near line 2: no such table"));
  std::ifstream file(output);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "hidden\n");
}

TEST_F(ShellTest, ImportsCsvIntoAnOldAndANewTable) {
  const std::string csv = Write("data.csv", "id,name\n1,\"a, b\"\n2,\"two\nlines\"\n3\n");
  EXPECT_EQ(Run(Text(".import ", csv,
                     " fresh\nselect id, name is null from fresh;\n"
                     "create table old(id integer, name);\n.import --skip 1 ",
                     csv, " old\nselect typeof(id), name from old limit 1;\n")),
            "1|0\n2|0\n3|1\ninteger|a, b\n");
  EXPECT_THAT(err_.str(), HasSubstr("expected 2 columns but found 1"));
}

TEST_F(ShellTest, DumpIsWhatTheSqliteShellDumps) {
  if (!HasSqliteShell()) GTEST_SKIP() << "the sqlite3 shell is not installed";
  const std::string script =
      "create table t(a integer primary key, b text, c real, d blob, \"e f\");\n"
      "insert into t values(1,'x',1.5,x'0102',null),(2,'it''s\nhere',1e300,null,9.1);\n"
      "create index ti on t(b);\ncreate view v as select a from t;\n"
      "create trigger tr after insert on t begin update t set b='z' where a=new.a; select 1; end;\n"
      "create table \"order\"(id integer primary key autoincrement, n);\n"
      "insert into \"order\"(n) values('r\r\n');\n"
      "create virtual table f using fts5(x);\ninsert into f values('hello world');\n";
  Run(script);
  Sqlite(script);
  EXPECT_EQ(Run(".dump\n"), Sqlite(".dump\n"));
  EXPECT_EQ(Run(".tables\n.dump t\n"), Sqlite(".tables\n.dump t\n"));
}

TEST_F(ShellTest, AWriteThatANodeRefusedToBeginIsNotInDoubt) {
  Shell shell(Options());
  shell.RunText("create table t(a);");
  StopServing();
  shell.RunText("insert into t values(1);");
  EXPECT_TRUE(shell.is_done());
  EXPECT_THAT(err_.str(), Not(HasSubstr("UNKNOWN")));
  EXPECT_TRUE(absl::IsUnavailable(shell.result())) << shell.result();
  Serve();
}

TEST_F(ShellTest, RefusesWhatARequestCannotCarry) {
  EXPECT_EQ(Run("select 1;\nselect '\xff';\nselect 2;\n"), "1\n2\n");
  EXPECT_THAT(err_.str(), HasSubstr("near line 2: the statement is not valid UTF-8"));
}

TEST_F(ShellTest, ShowsLsns) {
  ShellOptions options = Options();
  options.run.show_lsn = true;
  Run("create table t(a);\n", options);
  EXPECT_THAT(err_.str(), HasSubstr("-- lsn "));
}

}  // namespace
}  // namespace sextant::cli
