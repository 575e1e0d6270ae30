// SPDX-License-Identifier: MIT
#pragma once
// A folder for the files of one test case; it and they are removed at its end.

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <random>
#include <string>

namespace sparq_test {

class temporary_folder {
 public:
  temporary_folder()
      : path_(std::filesystem::temp_directory_path() / ("sparq_" + std::to_string(std::random_device()()))) {
    std::filesystem::create_directory(path_);
  }
  ~temporary_folder() { std::filesystem::remove_all(path_); }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::ptrdiff_t files() const {
    return std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator());
  }

 private:
  std::filesystem::path path_;
};

}  // namespace sparq_test
