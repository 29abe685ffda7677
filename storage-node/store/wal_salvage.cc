// See wal_salvage.h.
#include "storage-node/store/wal_salvage.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "common/base/coding.h"
#include "common/base/crc32c.h"

namespace sextant::storage {
namespace {

constexpr size_t kBlockBytes = 32 << 10;
constexpr size_t kHeaderBytes = 7;

enum Type : uint8_t { kZero = 0, kFull = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

// A CRC over bytes that hold CRCs is weak, so it is stored rotated and shifted.
uint32_t Masked(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }

struct Fragment {
  uint8_t type = kZero;
  std::string_view payload;
};

// The fragment that `block` begins with; nullopt: damaged, or cut off.
std::optional<Fragment> ReadFragment(std::string_view block) {
  uint32_t crc;
  std::string_view in = block;
  if (!GetFixed32(&in, &crc) || in.size() < kHeaderBytes - sizeof(crc)) return std::nullopt;
  const size_t length = static_cast<uint8_t>(in[0]) | static_cast<uint8_t>(in[1]) << 8;
  const auto type = static_cast<uint8_t>(in[2]);
  if (type == kZero && length == 0 && crc == 0) return Fragment{};
  if (type < kFull || type > kLast || in.size() < 3 + length) return std::nullopt;
  if (crc != Masked(Crc32c(in.substr(2, 1 + length)))) return std::nullopt;
  return Fragment{type, in.substr(3, length)};
}

class Writer {
 public:
  explicit Writer(std::string* out) : out_(out) {}

  void Add(std::string_view record) {
    bool is_first = true, is_last = false;
    while (!is_last) {
      size_t room = kBlockBytes - out_->size() % kBlockBytes;
      if (room < kHeaderBytes) {
        out_->append(room, '\0');
        room = kBlockBytes;
      }
      const std::string_view part = record.substr(0, room - kHeaderBytes);
      record.remove_prefix(part.size());
      is_last = record.empty();
      AddFragment(is_first ? (is_last ? kFull : kFirst) : (is_last ? kLast : kMiddle), part);
      is_first = false;
    }
  }

 private:
  void AddFragment(Type type, std::string_view payload) {
    std::string checked(1, static_cast<char>(type));
    checked.append(payload);
    PutFixed32(out_, Masked(Crc32c(checked)));
    out_->push_back(static_cast<char>(payload.size() & 0xff));
    out_->push_back(static_cast<char>(payload.size() >> 8));
    out_->append(checked);
  }

  std::string* const out_;
};

// Puts fragments together.
class Salvage {
 public:
  void Block(std::string_view block) {
    while (block.size() >= kHeaderBytes) {
      const std::optional<Fragment> fragment = ReadFragment(block);
      if (!fragment) return Damage();
      if (fragment->type == kZero) return;  // room that was allotted and never written
      Take(*fragment);
      block.remove_prefix(kHeaderBytes + fragment->payload.size());
    }
  }
  SalvagedWal Finish() {
    if (is_open_) Damage();
    return std::move(result_);
  }

 private:
  void Damage() {
    if (!is_lost_) ++result_.damages;
    is_open_ = false;
    is_lost_ = true;
  }
  void Take(const Fragment& fragment) {
    const bool begins = fragment.type == kFull || fragment.type == kFirst;
    if (begins ==
        is_open_) {  // the end of the record before, or the beginning of this one, is gone
      Damage();
      if (!begins) return;
    }
    if (begins) record_.clear();
    is_lost_ = false;
    record_.append(fragment.payload);
    is_open_ = fragment.type == kFirst || fragment.type == kMiddle;
    if (is_open_) return;
    writer_.Add(record_);
    ++result_.records;
  }

  SalvagedWal result_;
  Writer writer_{&result_.bytes};
  bool is_open_ = false;  // record_ is the beginning of one
  bool is_lost_ = false;  // since the last damage nothing was whole
  std::string record_;
};

}  // namespace

SalvagedWal SalvageWal(std::string_view file) {
  Salvage salvage;
  for (size_t at = 0; at < file.size(); at += kBlockBytes) {
    salvage.Block(file.substr(at, kBlockBytes));
  }
  return salvage.Finish();
}

}  // namespace sextant::storage
