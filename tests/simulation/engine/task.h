// Task: a call to be made later, moved and never copied, with room for a usual capture inside.
//
// The simulator makes millions of them: std::function would allocate for nearly each.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace sextant::simulation {

class Task {
 public:
  Task() = default;
  template <typename Fn>
  requires(!std::is_same_v<std::decay_t<Fn>, Task>) Task(Fn&& fn) {  // NOLINT: implicit on purpose
    using Held = std::decay_t<Fn>;
    if constexpr (sizeof(Held) <= kInlineBytes && alignof(Held) <= alignof(std::max_align_t)) {
      new (bytes_) Held(std::forward<Fn>(fn));
      ops_ = &kInlineOps<Held>;
    } else {
      *reinterpret_cast<Held**>(bytes_) = new Held(std::forward<Fn>(fn));
      ops_ = &kHeapOps<Held>;
    }
  }
  Task(Task&& other) noexcept { Take(other); }
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Clear();
      Take(other);
    }
    return *this;
  }
  ~Task() { Clear(); }

  void operator()() { ops_->call(bytes_); }
  explicit operator bool() const { return ops_ != nullptr; }

 private:
  static constexpr size_t kInlineBytes = 88;

  struct Ops {
    void (*call)(void*);
    void (*move)(void* from, void* to);  // leaves `from` destroyed
    void (*destroy)(void*);
  };
  template <typename Held>
  static constexpr Ops kInlineOps = {[](void* p) { (*static_cast<Held*>(p))(); },
                                     [](void* from, void* to) {
                                       new (to) Held(std::move(*static_cast<Held*>(from)));
                                       static_cast<Held*>(from)->~Held();
                                     },
                                     [](void* p) { static_cast<Held*>(p)->~Held(); }};
  template <typename Held>
  static constexpr Ops kHeapOps = {
      [](void* p) { (**static_cast<Held**>(p))(); },
      [](void* from, void* to) { *static_cast<Held**>(to) = *static_cast<Held**>(from); },
      [](void* p) { delete *static_cast<Held**>(p); }};

  void Take(Task& other) {
    ops_ = std::exchange(other.ops_, nullptr);
    if (ops_ != nullptr) ops_->move(other.bytes_, bytes_);
  }
  void Clear() {
    if (ops_ != nullptr) std::exchange(ops_, nullptr)->destroy(bytes_);
  }

  alignas(std::max_align_t) std::byte bytes_[kInlineBytes];
  const Ops* ops_ = nullptr;
};

}  // namespace sextant::simulation
