// SPDX-License-Identifier: MIT
#pragma once
// Text files that the build put into the program: see embed.cmake.

#include <string_view>

namespace explore::embedded {

extern const std::string_view page_html;
extern const std::string_view page_css;
extern const std::string_view page_data_js;
extern const std::string_view page_plots_js;
extern const std::string_view page_js;
extern const std::string_view chart_js;  // empty if the package was missing

}  // namespace explore::embedded
