// Mini-transactions as the redo stream carries them: encoded once by the writer, sent to every
// reader. Core. The layout is in docs/FORMATS.md, "Mini-transaction on the redo stream".
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/protocol/redo_messages.h"

namespace sextant::protocol {

// Appends the encoding of `mtr` to *out; without payloads where it is a notice, or `as_notice`.
void EncodeMtr(const RedoMtr& mtr, bool as_notice, std::string* out);

// Takes one from the front of *in. DATA_LOSS: cut short, malformed, or its checksum does not match;
// *in is then unspecified.
absl::StatusOr<RedoMtr> DecodeMtr(std::string_view* in);

}  // namespace sextant::protocol
