// SPDX-License-Identifier: MIT
#pragma once
// What validate() of nearly every format asks of its arrays: offsets that rise from 0 to the end of a list, and lists
// that ascend below a limit. Each check names the first entry that is wrong, in the words of the format that calls it.

#include <sparq/base/error.hpp>
#include <sparq/format/shape.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sparq {

/// `array` has `wanted` entries.
inline status check_size(const std::string& array, std::size_t size, std::size_t wanted) {
  if (size == wanted) return {};
  return status::failure(array + " has " + std::to_string(size) + " entries; " + std::to_string(wanted) +
                         " are needed");
}

/// offsets[0] is 0, offsets never fall, offsets[count] is `end`. O(count).
/// - `array`: how messages name the offsets, as in "csr: row_offsets"
inline status check_offsets(const std::string& array, std::span<const std::uint64_t> offsets, std::size_t count,
                            std::size_t end) {
  const auto wrong = [&](std::size_t i, const std::string& wanted) {
    return status::failure(array + "[" + std::to_string(i) + "] is " + std::to_string(offsets[i]) + "; it must " +
                           wanted);
  };
  if (status s = check_size(array, offsets.size(), count + 1); !s.ok()) return s;
  if (offsets[0] != 0) return wrong(0, "be 0");
  for (std::size_t i = 1; i <= count; ++i)
    if (offsets[i] < offsets[i - 1] || offsets[i] > end)
      return wrong(i, "lie between " + std::to_string(offsets[i - 1]) + " and " + std::to_string(end));
  if (offsets[count] != end) return wrong(count, "be " + std::to_string(end) + ", the end of the list");
  return {};
}

/// In every list [offsets[i], offsets[i + 1]) the values ascend strictly and stay below `limit`. O(values).
/// - `owner`: what owns one list, as in "channel"
/// @pre check_offsets(offsets) is ok
inline status check_lists(const std::string& array, std::span<const index_t> values,
                          std::span<const std::uint64_t> offsets, const char* owner, std::size_t limit) {
  const auto wrong = [&](std::size_t at, std::size_t list, const std::string& wanted) {
    return status::failure(array + "[" + std::to_string(at) + "] is " + std::to_string(values[at]) + " in " + owner +
                           " " + std::to_string(list) + "; it must be " + wanted);
  };
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
    for (auto at = static_cast<std::size_t>(offsets[i]); at < offsets[i + 1]; ++at) {
      if (values[at] >= limit) return wrong(at, i, "below " + std::to_string(limit));
      if (at > offsets[i] && values[at] <= values[at - 1])
        return wrong(at, i, "above " + std::to_string(values[at - 1]) + ", which it follows");
    }
  return {};
}

}  // namespace sparq
