// SPDX-License-Identifier: MIT
#pragma once
// Text files, read whole and written whole: a report appears under its name complete or not at all.

#include <filesystem>
#include <string>
#include <string_view>

namespace explore {

/// Throws sparq::error that names the file.
std::string read_text(const std::filesystem::path& file);

/// Writes a temporary neighbour of `file` that then takes its name. Throws sparq::error and leaves nothing behind.
void write_text(const std::filesystem::path& file, std::string_view text);

/// Throws the error that write_text would throw, before hours of measuring.
void check_writable(const std::filesystem::path& file);

}  // namespace explore
