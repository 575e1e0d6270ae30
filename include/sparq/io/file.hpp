// SPDX-License-Identifier: MIT
#pragma once
// Whole files: read at once, written so that a reader sees the old content or the new one, never half of it.

#include <sparq/base/error.hpp>
#include <sparq/base/memory.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace sparq::detail {

inline status with_path(const std::filesystem::path& path, const std::string& problem) {
  return status::failure(path.string() + ": " + problem);
}

/// The bytes of a regular file.
inline expected<aligned_buffer> read_file(const std::filesystem::path& path) {
  std::error_code problem;
  const auto kind = std::filesystem::status(path, problem).type();
  if (kind == std::filesystem::file_type::not_found) return with_path(path, "there is no such file");
  if (kind == std::filesystem::file_type::none) return with_path(path, problem.message());
  if (kind != std::filesystem::file_type::regular) return with_path(path, "this is not a regular file");
  const auto size = std::filesystem::file_size(path, problem);
  std::ifstream file(path, std::ios::binary);
  if (problem || !file) return with_path(path, "the file cannot be opened");
  aligned_buffer content(static_cast<std::size_t>(size));
  if (size != 0) file.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(size));
  if (!file || file.peek() != std::ifstream::traits_type::eof())
    return with_path(path, "reading its " + std::to_string(size) + " bytes failed");
  return content;
}

/// Writes head and body to a temporary neighbour that then takes the name `path`.
inline status write_file(const std::filesystem::path& path, std::string_view head, std::span<const std::byte> body) {
  // The clock and the address of the stack tell threads and processes apart, so two writers never share a temporary.
  const auto ticks = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  const auto stack = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&ticks));
  auto temporary = path;
  temporary += "." + std::to_string(ticks) + "-" + std::to_string(stack) + ".partial";
  std::error_code problem;
  {
    std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
    if (!file) return with_path(path, "no file can be made in this folder");
    file.write(head.data(), static_cast<std::streamsize>(head.size()));
    file.write(reinterpret_cast<const char*>(body.data()), static_cast<std::streamsize>(body.size()));
    file.close();
    if (!file) problem = std::make_error_code(std::errc::io_error);
  }
  if (!problem) std::filesystem::rename(temporary, path, problem);
  if (!problem) return {};
  std::error_code ignored;
  std::filesystem::remove(temporary, ignored);
  return with_path(path, "writing failed: " + problem.message());
}

}  // namespace sparq::detail
