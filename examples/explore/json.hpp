// SPDX-License-Identifier: MIT
#pragma once
// The report as a JSON document and back. Infinite numbers (the SQNR of exact weights) are null; figures that were not
// measured are absent.

#include "results.hpp"

#include <string>
#include <string_view>

namespace explore {

/// Raised when a field changes its meaning or disappears; documents of other versions are refused.
inline constexpr int schema_version = 1;

std::string to_json(const report& found);

/// Throws sparq::error that names the first field which is missing, of the wrong type or out of range; `origin`, a file
/// name, starts its sentence.
report from_json(std::string_view text, std::string_view origin);

}  // namespace explore
