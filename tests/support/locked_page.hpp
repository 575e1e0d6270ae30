// SPDX-License-Identifier: MIT
#pragma once
// Memory that ends where a page begins that nobody may touch: a kernel that reads beyond it stops the test, with or
// without a sanitizer. Where the system has no such pages, the memory just ends.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#if __has_include(<sys/mman.h>) && __has_include(<unistd.h>)
#define SPARQ_TEST_HAS_PAGES 1
#include <sys/mman.h>
#include <unistd.h>
#else
#define SPARQ_TEST_HAS_PAGES 0
#include <vector>
#endif

namespace sparq_test {

/// A copy of some bytes, the last of which is the last before such a page.
/// @pre where they should be aligned, their number is a multiple of that
class before_locked_page {
 public:
  explicit before_locked_page(std::span<const std::byte> bytes) : size_(bytes.size()) {
#if SPARQ_TEST_HAS_PAGES
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t pages = (size_ + page - 1) / page * page;
    whole_ = pages + page;
    void* memory = mmap(nullptr, whole_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    first_ = static_cast<std::byte*>(memory);
    if (mprotect(first_ + pages, page, PROT_NONE) != 0) std::abort();
    place_ = first_ + pages - size_;
#else
    memory_.resize(size_ + 64);
    const auto ahead = reinterpret_cast<std::uintptr_t>(memory_.data()) % 64;
    place_ = memory_.data() + (64 - ahead) % 64;
#endif
    if (size_ != 0) std::memcpy(place_, bytes.data(), size_);
  }
  before_locked_page(const before_locked_page&) = delete;
  before_locked_page& operator=(const before_locked_page&) = delete;
#if SPARQ_TEST_HAS_PAGES
  ~before_locked_page() { munmap(first_, whole_); }
#endif

  std::span<const std::byte> bytes() const { return {place_, size_}; }

 private:
  std::size_t size_;
  std::byte* place_ = nullptr;
#if SPARQ_TEST_HAS_PAGES
  std::byte* first_ = nullptr;
  std::size_t whole_ = 0;
#else
  std::vector<std::byte> memory_;
#endif
};

}  // namespace sparq_test
