// SPDX-License-Identifier: MIT
#pragma once
// Reads a JSON document value by value, and says where and what is wrong with one.

#include <sparq/base/error.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace explore {

/// A value of the document, where it is, and how to say what is wrong with it.
class field {
 public:
  field(const nlohmann::json& value, const std::string& file, std::string where)
      : value_(&value), file_(&file), where_(std::move(where)) {}

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> what, Args&&... args) const {
    sparq::raise(fmt::format("{}: {} {}", *file_, where_, fmt::format(what, std::forward<Args>(args)...)));
  }

  std::optional<field> find(const std::string& key) const {
    if (!value_->is_object()) refuse("is not an object");
    read_.insert(key);
    const auto found = value_->find(key);
    if (found == value_->end()) return std::nullopt;
    return field(*found, *file_, where_ == "the document" ? key : where_ + "." + key);
  }
  field operator[](const std::string& key) const {
    const auto found = find(key);
    if (!found) refuse("has no \"{}\"", key);
    return *found;
  }
  // Refuses what nobody has asked for: an attribute that is not understood may change what the operation does.
  void refuse_the_rest() const {
    for (const auto& item : value_->items())
      if (!read_.contains(item.key())) refuse("has \"{}\", which is not supported", item.key());
  }

  std::vector<field> list() const {
    if (!value_->is_array()) refuse("is not a list");
    std::vector<field> elements;
    for (std::size_t i = 0; i < value_->size(); ++i)
      elements.emplace_back((*value_)[i], *file_, fmt::format("{}[{}]", where_, i));
    return elements;
  }
  bool is_null() const { return value_->is_null(); }

  template <std::integral T>
  T integer() const {
    if (value_->is_number_unsigned()) {
      const auto number = value_->get<std::uint64_t>();
      if (std::in_range<T>(number)) return static_cast<T>(number);
    } else if (value_->is_number_integer()) {
      const auto number = value_->get<std::int64_t>();
      if (std::in_range<T>(number)) return static_cast<T>(number);
    }
    refuse("is {}, not an integer from {} to {}", value_->dump(), (std::numeric_limits<T>::min)(),
           (std::numeric_limits<T>::max)());
  }
  double real() const {
    if (!value_->is_number()) refuse("is {}, not a number", value_->dump());
    return value_->get<double>();
  }
  std::string text() const {
    if (!value_->is_string()) refuse("is {}, not a string", value_->dump());
    return value_->get<std::string>();
  }
  bool flag() const {
    if (!value_->is_boolean()) refuse("is {}, not true or false", value_->dump());
    return value_->get<bool>();
  }
  // The position of the string among the known ones.
  std::size_t one_of(std::initializer_list<std::string_view> known) const {
    const auto found = std::find(known.begin(), known.end(), text());
    if (found == known.end()) refuse("is {}; supported are \"{}\"", value_->dump(), fmt::join(known, "\", \""));
    return static_cast<std::size_t>(found - known.begin());
  }

  template <std::integral T>
  std::vector<T> integers() const {
    std::vector<T> numbers;
    for (const field& element : list()) numbers.push_back(element.integer<T>());
    return numbers;
  }
  template <std::size_t Count>
  std::array<std::size_t, Count> extents(std::size_t least) const {
    const auto numbers = integers<std::size_t>();
    if (numbers.size() != Count) refuse("has {} numbers, not {}", numbers.size(), Count);
    std::array<std::size_t, Count> result;
    for (std::size_t i = 0; i < Count; ++i) {
      result[i] = numbers[i];
      // 2^31 keeps every sum of extents far from overflow.
      if (result[i] < least || result[i] >> 31 != 0) refuse("has the extent {}", result[i]);
    }
    return result;
  }

 private:
  const nlohmann::json* value_;
  const std::string* file_;
  std::string where_;
  mutable std::set<std::string> read_;
};

}  // namespace explore
