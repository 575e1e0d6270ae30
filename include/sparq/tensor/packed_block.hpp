// SPDX-License-Identifier: MIT
#pragma once
// One block of bytes that describes itself: a header, then arrays on 64-byte boundaries. What packed tensors have in
// common, whichever loop reads them.

#include <sparq/base/error.hpp>
#include <sparq/base/math.hpp>
#include <sparq/base/memory.hpp>
#include <sparq/format/shape.hpp>
#include <sparq/numeric/numeric.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace sparq {

namespace detail {

inline constexpr std::size_t packed_array_count = 11;
using packed_sizes = std::array<std::size_t, packed_array_count>;

/// The first bytes of the block.
struct packed_header {
  std::array<char, 8> magic = {'s', 'p', 'a', 'r', 'q', 'p', 'k', '1'};
  std::uint64_t bytes = 0;  // of the whole block
  std::uint64_t n = 0;
  std::uint64_t k = 0;
  std::uint64_t slots = 0;  // of the canonical tensor
  std::array<std::uint64_t, packed_array_count> offset{};
  std::array<std::uint64_t, packed_array_count> count{};
  std::array<char, 64> format{};  // name of the canonical format
  std::array<char, 96> layout{};  // what loops read it: policies, numeric type, granularity and panel shape

  /// Sets the names, and the offsets of arrays whose counts are known.
  void place(const std::string& format_name, const std::string& layout_name, const packed_sizes& element_bytes) {
    format_name.copy(format.data(), format.size() - 1);
    layout_name.copy(layout.data(), layout.size() - 1);
    bytes = round_up(sizeof(packed_header), alignment);
    for (std::size_t i = 0; i < packed_array_count; ++i) {
      offset[i] = bytes;
      bytes += round_up(static_cast<std::size_t>(count[i]) * element_bytes[i], alignment);
    }
  }
};

/// What a packed type says it is. `reads`: how its loop reads X
inline std::string layout_text(const std::string& reads, std::string_view numeric, std::string_view granularity,
                               std::size_t channels, std::size_t group_k) {
  return reads + " " + std::string(numeric) + " " + std::string(granularity) + " " + std::to_string(channels) + "x" +
         std::to_string(group_k);
}

/// The name of the layout that bytes say they have; "" if they do not start with a header. They may lie anywhere.
inline std::string packed_layout(std::span<const std::byte> bytes) {
  packed_header header;
  if (bytes.size() < sizeof header) return {};
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != packed_header{}.magic) return {};
  return {header.layout.begin(), std::find(header.layout.begin(), header.layout.end(), '\0')};
}

/// Whether a block starts with the header of this layout and holds all of its arrays.
inline status check_packed_header(std::span<const std::byte> block, const std::string& layout_name,
                                  const packed_sizes& element_bytes) {
  const auto wrong = [](const std::string& what) { return status::failure("packed tensor: " + what); };
  if (block.size() < sizeof(packed_header))
    return wrong(std::to_string(block.size()) + " bytes are less than a header of " +
                 std::to_string(sizeof(packed_header)));
  if (reinterpret_cast<std::uintptr_t>(block.data()) % alignment != 0)
    return wrong("the block does not start on a boundary of 64 bytes");
  const auto& header = *reinterpret_cast<const packed_header*>(block.data());
  if (header.magic != packed_header{}.magic) return wrong("the block does not start with sparqpk1");
  const std::string layout = packed_layout(block);
  if (layout != layout_name) return wrong("packed as \"" + layout + "\", wanted as \"" + layout_name + "\"");
  if (header.format.back() != '\0') return wrong("the format's name has no end");
  const weight_shape shape{static_cast<std::size_t>(header.n), static_cast<std::size_t>(header.k)};
  if (shape.n != header.n || shape.k != header.k)  // where size_t has 32 bits
    return wrong(std::to_string(header.n) + " x " + std::to_string(header.k) + " weights are more than memory holds");
  if (status s = validate(shape); !s.ok()) return wrong(s.message());
  if (header.bytes > block.size())
    return wrong("needs " + std::to_string(header.bytes) + " bytes, " + std::to_string(block.size()) + " are here");
  for (std::size_t i = 0; i < packed_array_count; ++i)
    if (header.offset[i] % alignment != 0 || header.offset[i] > header.bytes ||
        header.count[i] > (header.bytes - header.offset[i]) / element_bytes[i])
      return wrong("array " + std::to_string(i) + " lies outside the block");
  return {};
}

/// What every view of a packed tensor tells from the header.
class packed_base {
 public:
  packed_base() = default;
  explicit packed_base(const std::byte* block) : block_(block) {}

  weight_shape shape() const {
    return {static_cast<std::size_t>(header().n), static_cast<std::size_t>(header().k)};
  }
  std::size_t bytes() const { return static_cast<std::size_t>(header().bytes); }
  std::span<const std::byte> block() const { return {block_, bytes()}; }
  std::string_view format_name() const { return header().format.data(); }
  /// Slots of the canonical tensor / (n k); 0 for an empty matrix.
  double density() const {
    return shape().size() == 0 ? 0.0 : static_cast<double>(header().slots) / static_cast<double>(shape().size());
  }

 protected:
  /// A view of no block is that of a 0 x 0 matrix.
  const packed_header& header() const {
    static constexpr packed_header none{};
    return block_ == nullptr ? none : *reinterpret_cast<const packed_header*>(block_);
  }
  template <class T, class Array>
  std::span<const T> array(Array which) const {
    const auto i = static_cast<std::size_t>(which);
    return {reinterpret_cast<const T*>(block_ + header().offset[i]), static_cast<std::size_t>(header().count[i])};
  }

 private:
  const std::byte* block_ = nullptr;
};

/// A block while it is made: its arrays are counted, placed, and then written.
template <class Array>
class block_writer {
 public:
  /// Bytes of the block. @pre arrays are placed
  std::size_t bytes() const { return static_cast<std::size_t>(header_.bytes); }

 protected:
  std::uint64_t& count(Array which) { return header_.count[static_cast<std::size_t>(which)]; }
  std::uint64_t count(Array which) const { return header_.count[static_cast<std::size_t>(which)]; }
  void place(weight_shape shape, std::size_t slots, const std::string& format_name, const std::string& layout_name,
             const packed_sizes& element_bytes) {
    header_.n = shape.n;
    header_.k = shape.k;
    header_.slots = slots;
    header_.place(format_name, layout_name, element_bytes);
  }
  /// The header, and zeros. @pre block.size() >= bytes(), aligned to 64 bytes
  void start(std::span<std::byte> block) {
    std::memset(block.data(), 0, bytes());
    std::memcpy(block.data(), &header_, sizeof header_);
    block_ = block.data();
  }
  template <class T>
  T* array(Array which) {
    return reinterpret_cast<T*>(block_ + header_.offset[static_cast<std::size_t>(which)]);
  }
  /// Values that stand in the block as they are.
  template <class T>
  void copy(Array which, std::span<const T> values) {
    if (!values.empty()) std::memcpy(array<std::byte>(which), values.data(), values.size_bytes());
  }

 private:
  packed_header header_;
  std::byte* block_ = nullptr;
};

/// What part of the codes that are multiplied is of use; 1 if there are none.
constexpr double efficiency(std::size_t useful, std::size_t stored) {
  return stored == 0 ? 1.0 : static_cast<double>(useful) / static_cast<double>(stored);
}

/// [offset, offset + a b) lies in [0, size).
constexpr bool fits(std::uint64_t offset, std::uint64_t a, std::uint64_t b, std::uint64_t size) {
  return offset <= size && (a == 0 || b <= (size - offset) / a);
}

}  // namespace detail

/// A packed tensor that owns its block.
template <class View>
class packed {
 public:
  using view_type = View;

  packed() = default;
  /// @pre `block` was written by pack_into for this type
  packed(unchecked_t, aligned_buffer block) : block_(std::move(block)) {}

  /// A view into this block, which must outlive it.
  View view() const& { return View(unchecked, block_.data()); }
  View view() const&& = delete;
  /// For calls: a view of a temporary lasts as long as the call.
  operator View() const { return view(); }
  weight_shape shape() const { return view().shape(); }
  std::size_t bytes() const { return block_.size(); }
  std::span<const std::byte> block() const { return block_.bytes(); }

 private:
  aligned_buffer block_;
};

}  // namespace sparq
