// Events as text, for people: `sextant binlog dump`.
#pragma once

#include <string>

#include "compute-node/binlog/log/transaction.h"

namespace sextant::binlog {

// As a SQL literal: NULL, 7, 1.5, 'text', x'00ff'; bytes that are no printable text as CAST(x'..'
// AS TEXT).
std::string DescribeValue(const Value& value);
// One line for the transaction and one for each event in it but Table events, whose names stand in
// the rows:
//   0123456789abcdef:5  2026-11-22T12:00:00.000000Z
//     insert t rowid 1: 1, 'hi'
std::string Describe(const TransactionView& transaction);

}  // namespace sextant::binlog
