// SPDX-License-Identifier: MIT
#include "file.hpp"

#include <fmt/format.h>

#include <sparq/base/error.hpp>

#include <fstream>
#include <iterator>
#include <random>
#include <system_error>

namespace explore {
namespace {

// A file that is removed unless it took its final name.
class temporary_file {
 public:
  explicit temporary_file(const std::filesystem::path& target) : target_(target), path_(target) {
    if (std::filesystem::is_directory(target)) refuse("is a folder");
    path_ += fmt::format(".{:08x}.partial", std::random_device{}());
    stream_.open(path_, std::ios::binary | std::ios::trunc);
    if (!stream_) refuse("cannot be written: its folder does not exist or takes no files");
  }
  ~temporary_file() {
    stream_.close();
    std::error_code ignored;
    if (!kept_) std::filesystem::remove(path_, ignored);
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;

  void write(std::string_view text) {
    stream_.write(text.data(), static_cast<std::streamsize>(text.size()));
    stream_.close();
    if (!stream_) refuse("was not written: the disk may be full");
    std::error_code problem;
    std::filesystem::rename(path_, target_, problem);
    if (problem) refuse("was not written: " + problem.message());
    kept_ = true;
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    sparq::raise(fmt::format("{} {}", target_.string(), what));
  }

  std::filesystem::path target_;
  std::filesystem::path path_;
  std::ofstream stream_;
  bool kept_ = false;
};

}  // namespace

std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file)) sparq::raise(fmt::format("{} cannot be opened", file.string()));
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_text(const std::filesystem::path& file, std::string_view text) { temporary_file(file).write(text); }

void check_writable(const std::filesystem::path& file) { temporary_file{file}; }

}  // namespace explore
