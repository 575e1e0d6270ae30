// SPDX-License-Identifier: MIT
#pragma once
// What validate() of nearly every set of parameters asks of its numbers. Each check says "<who>: <field> <value> is not
// <what it has to be>".

#include <sparq/base/error.hpp>
#include <sparq/numeric/number_text.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace sparq::detail {

inline status refuse(std::string_view who, std::string_view field, const std::string& value,
                     const std::string& needed) {
  return status::failure(std::string(who) + ": " + std::string(field) + " " + value + " is not " + needed);
}

/// least <= value <= most.
inline status check_field(std::string_view who, std::string_view field, std::int64_t value, std::int64_t least,
                          std::int64_t most) {
  if (least <= value && value <= most) return {};
  return refuse(who, field, std::to_string(value), "in [" + std::to_string(least) + ", " + std::to_string(most) + "]");
}

/// A scale, or a step.
inline status check_positive(std::string_view who, std::string_view field, double value) {
  if (value > 0 && is_finite(value)) return {};
  return refuse(who, field, number_text(value), "positive and finite");
}

/// The factors and the shift of (a first + b second) >> shift in 64 bits: two products by -2^31 may not fit.
inline status check_scaled_sum(std::string_view who, std::int32_t first, std::int32_t second, int shift, int most) {
  for (const std::int32_t factor : {first, second})
    if (status s = check_field(who, "factor", factor, -INT32_MAX, INT32_MAX); !s.ok()) return s;
  return check_field(who, "shift", shift, 0, most);
}

}  // namespace sparq::detail
