// SPDX-License-Identifier: MIT
#pragma once
// What is being measured at the moment: one line that rewrites itself on a terminal; elsewhere a plain line per layer,
// and now and then one in between, so that a log stays short.

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace explore {

class progress {
 public:
  explicit progress(std::FILE* stream);
  ~progress() { clear(); }
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  /// A new stage, number `index` (from 0) of `count`.
  void stage(std::size_t index, std::size_t count, std::string_view name);
  /// What the stage is at: "csr s8 75 %".
  void step(std::string_view what);
  /// Takes the line away, so that other output can follow.
  void clear();

 private:
  using clock = std::chrono::steady_clock;

  void show(std::string_view what);

  std::FILE* stream_;
  bool rewrites_;
  bool shown_ = false;
  std::string stage_;
  clock::time_point start_ = clock::now();
  clock::time_point last_line_ = start_;
};

}  // namespace explore
