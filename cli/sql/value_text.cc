// Values as text. Reals go through SQLite's own printf, which knows its rounding.
#include "cli/sql/value_text.h"

#include <sqlite3.h>

#include <cctype>
#include <cmath>

#include "common/base/text.h"

namespace sextant::cli {
namespace {

std::string FormatReal(const char* format, double real) {
  char buffer[64];
  sqlite3_snprintf(sizeof buffer, buffer, format, real);
  return buffer;
}

// Enough digits to read the same number back; infinities as literals that overflow to them.
std::string ExactReal(double real) {
  if (std::isinf(real)) return real > 0 ? "1e999" : "-1e999";
  return FormatReal("%!.20g", real);
}

std::string_view UpToNul(const std::string& bytes) { return bytes.c_str(); }

std::string HexLiteral(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text = "X'";
  for (char c : bytes) {
    text += kHex[static_cast<unsigned char>(c) >> 4];
    text += kHex[static_cast<unsigned char>(c) & 15];
  }
  return text + "'";
}

std::string SingleQuoted(std::string_view text) {
  std::string quoted = "'";
  for (char c : text) {
    quoted += c;
    if (c == '\'') quoted += c;
  }
  return quoted + "'";
}

// A stand-in for a line end that the text does not contain.
std::string StandIn(std::string_view text, const char* short_form, const char* long_form) {
  std::string candidate = short_form;
  for (int i = 0; text.find(candidate) != std::string_view::npos; ++i) {
    candidate = i == 0 ? long_form : Text("(", short_form, i, ")");
  }
  return candidate;
}

std::string ReplaceAll(std::string_view text, char what, const std::string& with) {
  std::string result;
  for (char c : text) {
    if (c == what) {
      result += with;
    } else {
      result += c;
    }
  }
  return result;
}

std::string QuotedOnOneLine(std::string_view text) {
  const bool has_newline = text.find('\n') != std::string_view::npos;
  const bool has_return = text.find('\r') != std::string_view::npos;
  std::string inner(text), before, after;
  if (has_newline) {
    const std::string mark = StandIn(text, "\\n", "\\012");
    inner = ReplaceAll(inner, '\n', mark);
    before = "replace(";
    after = Text(",'", mark, "',char(10))");
  }
  if (has_return) {
    const std::string mark = StandIn(text, "\\r", "\\015");
    inner = ReplaceAll(inner, '\r', mark);
    before = "replace(" + before;
    after = Text(",'", mark, "',char(13))") + after;
  }
  return before + SingleQuoted(inner) + after;
}

}  // namespace

std::string PlainText(const v1::SqlValue& value, std::string_view null) {
  switch (value.kind_case()) {
    case v1::SqlValue::kInteger:
      return std::to_string(value.integer());
    case v1::SqlValue::kReal:
      return FormatReal("%!.15g", value.real());
    case v1::SqlValue::kText:
      return std::string(UpToNul(value.text()));
    case v1::SqlValue::kBlob:
      return std::string(UpToNul(value.blob()));
    case v1::SqlValue::kNull:
    case v1::SqlValue::KIND_NOT_SET:
      break;
  }
  return std::string(null);
}

std::string SqlLiteral(const v1::SqlValue& value) {
  switch (value.kind_case()) {
    case v1::SqlValue::kInteger:
      return std::to_string(value.integer());
    case v1::SqlValue::kReal:
      return ExactReal(value.real());
    case v1::SqlValue::kText:
      return SingleQuoted(UpToNul(value.text()));
    case v1::SqlValue::kBlob:
      return HexLiteral(value.blob());
    case v1::SqlValue::kNull:
    case v1::SqlValue::KIND_NOT_SET:
      break;
  }
  return "NULL";
}

std::string SqlLiteralOnOneLine(const v1::SqlValue& value) {
  if (value.kind_case() != v1::SqlValue::kText) return SqlLiteral(value);
  return QuotedOnOneLine(UpToNul(value.text()));
}

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const char* escape = c == '"'    ? "\\\""
                         : c == '\\' ? "\\\\"
                         : c == '\b' ? "\\b"
                         : c == '\f' ? "\\f"
                         : c == '\n' ? "\\n"
                         : c == '\r' ? "\\r"
                         : c == '\t' ? "\\t"
                                     : nullptr;
    if (escape != nullptr) {
      json += escape;
    } else if (byte < 0x20) {
      char buffer[8];
      sqlite3_snprintf(sizeof buffer, buffer, "\\u%04x", byte);
      json += buffer;
    } else {
      json += c;
    }
  }
  return json + "\"";
}

std::string JsonText(const v1::SqlValue& value) {
  switch (value.kind_case()) {
    case v1::SqlValue::kInteger:
      return std::to_string(value.integer());
    case v1::SqlValue::kReal:
      return ExactReal(value.real());
    case v1::SqlValue::kText:
      return JsonString(value.text());
    case v1::SqlValue::kBlob:
      return JsonString(value.blob());
    case v1::SqlValue::kNull:
    case v1::SqlValue::KIND_NOT_SET:
      break;
  }
  return "null";
}

bool IsUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xc2 ? 0
                          : lead < 0xe0 ? 2
                          : lead < 0xf0 ? 3
                          : lead < 0xf5 ? 4
                                        : 0;
    if (length == 0 || at + length > text.size()) return false;
    uint32_t code = length == 1 ? lead : lead & (0x7fu >> length);
    for (size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[at + i]);
      if ((next & 0xc0) != 0x80) return false;
      code = code << 6 | (next & 0x3f);
    }
    const bool is_overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
    if (is_overlong || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return false;
    at += length;
  }
  return true;
}

std::string QuotedName(std::string_view name) {
  bool is_plain = !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0;
  for (char c : name) {
    is_plain = is_plain && (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_');
  }
  if (is_plain && sqlite3_keyword_check(name.data(), static_cast<int>(name.size())) == 0) {
    return std::string(name);
  }
  std::string quoted = "\"";
  for (char c : name) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + "\"";
}

}  // namespace sextant::cli
