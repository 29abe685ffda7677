// Text("lsn ", lsn, " of ", name): concatenation for messages. Core.
//
// absl::StrCat, taught two things: StrongInts, and std::string_view, which Debian's Abseil (built
// for C++14) does not know. View() goes the other way, for what Abseil returns.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/strong_int.h"

namespace sextant {
namespace internal {

template <typename T>
decltype(auto) TextPart(const T& part) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return absl::string_view(part.data(), part.size());
  } else {
    return (part);
  }
}
template <typename Tag, typename Rep>
Rep TextPart(const StrongInt<Tag, Rep>& part) {
  return part.value();
}

}  // namespace internal

template <typename... Parts>
std::string Text(const Parts&... parts) {
  return absl::StrCat(internal::TextPart(parts)...);
}

inline std::string_view View(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace sextant
