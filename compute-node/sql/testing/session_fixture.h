// SessionTest: sessions on a volume in memory, for the session tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "compute-node/sql/executor.h"
#include "compute-node/sql/testing/memory_volume.h"
#include "compute-node/sql/testing/sql_client.h"

namespace sextant::sql {

class SessionTest : public ::testing::Test {
 protected:
  explicit SessionTest(SqlOptions options = {}) {
    options.threads = 3;
    executor_ = std::make_unique<SqlExecutor>(&volume_, &tickets_, options);
  }
  // Also proves that nothing is left waiting, and no page version held.
  ~SessionTest() override {
    executor_->Stop();
    EXPECT_EQ(volume_.open_views(), 0u);
  }

  MemoryVolume volume_;
  compute::WriteTicketQueue tickets_;
  std::unique_ptr<SqlExecutor> executor_;
};

}  // namespace sextant::sql
