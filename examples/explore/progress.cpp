// SPDX-License-Identifier: MIT
#include "progress.hpp"

#include "terminal.hpp"

#include <fmt/format.h>

namespace explore {
namespace {

constexpr std::size_t line_width = 79;              // a longer line would wrap and could not be taken away
constexpr auto silence = std::chrono::seconds(30);  // at most, in a log

}  // namespace

progress::progress(std::FILE* stream) : stream_(stream), rewrites_(is_terminal(stream)) {}

void progress::stage(std::size_t index, std::size_t count, std::string_view name) {
  stage_ = fmt::format("[{}/{}] {}", index + 1, count, name);
  show("");
}

void progress::step(std::string_view what) {
  if (rewrites_ || clock::now() - last_line_ >= silence) show(what);
}

void progress::show(std::string_view what) {
  last_line_ = clock::now();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(last_line_ - start_).count();
  const std::string line =
      fmt::format("{}:{:02} {}{}{}", seconds / 60, seconds % 60, stage_, what.empty() ? "" : "  ", what);
  if (rewrites_) {
    fmt::print(stream_, "\r\033[K{:.{}}", line, line_width);
  } else {
    fmt::print(stream_, "{}\n", line);
  }
  std::fflush(stream_);
  shown_ = true;
}

void progress::clear() {
  if (!rewrites_ || !shown_) return;
  fmt::print(stream_, "\r\033[K");
  std::fflush(stream_);
  shown_ = false;
}

}  // namespace explore
