// SPDX-License-Identifier: MIT
#pragma once
// The report as one HTML file that needs no network: the page_* files and Chart.js are part of the program.

#include "results.hpp"

#include <string>

namespace explore {

/// Whether Chart.js was there when the program was built.
bool has_html();

/// @pre has_html()
std::string to_html(const report& found);

}  // namespace explore
